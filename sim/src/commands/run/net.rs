//! Where the nodes of a run live: in virtual time, or on real sockets.
#![cfg_attr(not(feature = "testbed"), allow(unused_variables, unreachable_code))]

use clap::ValueEnum;

use super::{Failure, Job, Request};
use crate::report::files;
use crate::scenario::{Scenario, Set};
#[cfg(feature = "testbed")]
use crate::testbed;

/// By what the nodes talk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Net {
    /// In virtual time, over a network in memory
    #[default]
    Virtual,
    /// In real time, over UDP sockets on loopback (and TCP for what exceeds a datagram)
    #[cfg(feature = "testbed")]
    Udp,
    /// In real time, over TCP sockets on loopback
    #[cfg(feature = "testbed")]
    Tcp,
    /// In virtual time and then in real time, by the scenario's own protocol, and the two compared
    #[cfg(feature = "testbed")]
    Both,
    /// In real time, each node in a network namespace of its own (Linux, root, up to 50 nodes)
    #[cfg(feature = "testbed")]
    Netns,
}

/// Where one run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunPlace {
    Virtual,
    #[cfg(feature = "testbed")]
    Real(testbed::TestbedNet),
}

impl Net {
    /// What it is called on the command line.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value().expect("no value is skipped");
        value.get_name().to_owned()
    }

    /// What it changes of a scenario.
    pub(super) fn set(self) -> Option<Set> {
        let set = match self {
            Self::Virtual => return None,
            #[cfg(feature = "testbed")]
            Self::Both | Self::Netns => return None,
            #[cfg(feature = "testbed")]
            Self::Udp => "engine.protocol=udp",
            #[cfg(feature = "testbed")]
            Self::Tcp => "engine.protocol=tcp",
        };
        Some(Set::parse(set).expect("it is a KEY=VALUE"))
    }

    /// The places at which a scenario is run, in order.
    pub(super) fn places(self, scenario: &Scenario) -> Vec<RunPlace> {
        match self {
            Self::Virtual => vec![RunPlace::Virtual],
            #[cfg(feature = "testbed")]
            Self::Both => vec![RunPlace::Virtual, RunPlace::Real(protocol(scenario))],
            #[cfg(feature = "testbed")]
            Self::Udp | Self::Tcp => vec![RunPlace::Real(protocol(scenario))],
            #[cfg(feature = "testbed")]
            Self::Netns => vec![RunPlace::Real(testbed::TestbedNet::Netns)],
        }
    }
}

#[cfg(feature = "testbed")]
fn protocol(scenario: &Scenario) -> testbed::TestbedNet {
    match scenario.engine().protocol() {
        rumormill::config::TransportKind::Tcp => testbed::TestbedNet::Tcp,
        // Whatever else there may be goes in datagrams.
        _ => testbed::TestbedNet::Udp,
    }
}

impl RunPlace {
    pub(super) fn is_virtual(self) -> bool {
        self == Self::Virtual
    }

    /// Real nodes can't do all that virtual ones can: said before anything runs.
    pub(super) fn takes(self, request: &Request, job: &Job) -> Result<(), Failure> {
        match self {
            Self::Virtual => Ok(()),
            #[cfg(feature = "testbed")]
            Self::Real(net) => {
                let plan = job.plan(request.seed);
                let plan =
                    plan.map_err(|error| Failure::scenario(&error, request.talk.error_paint))?;
                testbed::check(&plan, net)?;
                job.keep(plan);
                Ok(())
            }
        }
    }

    /// The folder of a scenario's runs; real ones never take the place of virtual ones.
    pub(super) fn folder(self, scenario: &Scenario) -> String {
        let folder = files::folder_name(scenario);
        match self {
            Self::Virtual => folder,
            #[cfg(feature = "testbed")]
            Self::Real(net) => format!("{folder}+{}", net.name()),
        }
    }
}

#[cfg(feature = "testbed")]
impl From<testbed::TestbedError> for Failure {
    fn from(error: testbed::TestbedError) -> Self {
        match error {
            testbed::TestbedError::Unfit(why) => Self::wrong(why),
            testbed::TestbedError::Machine(why) => Self::machine(why),
        }
    }
}
