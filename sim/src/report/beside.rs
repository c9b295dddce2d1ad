//! One rumor spread in several ways on the same network, over the same seeds: figures side by side.

use serde::Serialize;

use crate::report::curves::{self, Curve, Levels};
use crate::results::summary::RunResult;
use crate::rivals::course::Course;
use crate::stats::{Sample, Share, Spread};

/// The schema of [`BesideDocument`].
pub const SCHEMA: &str = "beside/1";

/// All ways, side by side.
#[derive(Clone, Debug)]
pub struct Beside {
    /// The scenario's name.
    pub scenario: String,
    /// Nodes at the start.
    pub nodes: u32,
    /// The first seed.
    pub seed: u64,
    /// The engine first, then its rivals; each has a run for every seed, in order.
    pub ways: Vec<BesideWay>,
}

/// One way to spread a rumor.
#[derive(Clone, Debug)]
pub struct BesideWay {
    /// Its name.
    pub name: String,
    /// What it does, in a few words.
    pub about: String,
    /// How it went, by seed.
    pub runs: Vec<SpreadBeside>,
}

/// How one rumor spread in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct SpreadBeside {
    /// When it had reached each percentage of the nodes that lasted.
    pub levels: Levels,
    /// Packets per node that carried it.
    pub messages: f64,
    /// Packets per node that acknowledged or steered it.
    pub control: f64,
    /// The most that one node sent.
    pub node_messages_max: u64,
}

impl SpreadBeside {
    /// The engine's: the rumor of its last publish.
    pub fn of_engine(run: &RunResult) -> Option<Self> {
        let summary = &run.summary;
        let published = summary.rumors.iter().filter(|rumor| rumor.kind == "metadata");
        let rumor = published.max_by(|a, b| a.start_ms.total_cmp(&b.start_ms))?;
        let nodes = f64::from(summary.nodes.start);
        let mut levels = levels(&rumor.curve);
        // The curve is thinned for pictures; these are exact.
        let exact = [(50, rumor.t50_ms), (90, rumor.t90_ms), (99, rumor.t99_ms)];
        for (percent, at) in exact.into_iter().chain([(100, rumor.t100_ms)]) {
            levels[percent - 1] = at;
        }
        Some(Self {
            levels,
            messages: rumor.messages as f64 / nodes,
            control: rumor.control_messages as f64 / nodes,
            node_messages_max: rumor.node_messages_max,
        })
    }

    /// A rival's, among so many nodes.
    pub fn of_rival(course: &Course, nodes: u32) -> Self {
        Self {
            levels: levels(&course.steps),
            messages: course.messages as f64 / f64::from(nodes),
            control: 0.0,
            node_messages_max: course.node_messages_max,
        }
    }

    /// When it had reached a percentage of the nodes, from 1 to 100, if it did.
    pub fn reached(&self, percent: usize) -> Option<f64> {
        self.levels[percent - 1]
    }
}

fn levels(steps: &[(f64, f64)]) -> Levels {
    let (id, kind, title) = (String::new(), String::new(), String::new());
    curves::levels(&[&Curve { id, kind, title, steps: steps.to_vec() }])
}

impl BesideWay {
    /// A figure over the seeds.
    pub fn sample(&self, of: impl Fn(&SpreadBeside) -> Option<f64>) -> Sample {
        Sample::new(self.runs.iter().map(of))
    }

    /// In how many runs it reached all.
    pub fn reached_all(&self) -> Share {
        Share::new(self.runs.iter().map(|run| run.reached(100).is_some()))
    }
}

/// The figures of all ways, as they stand in `beside.json`.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct BesideDocument {
    pub schema: &'static str,
    pub scenario: String,
    pub nodes: u32,
    pub seed: String,
    pub seeds: usize,
    pub protocols: Vec<Protocol>,
}

/// The figures of one way.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it, and the measures of a rumor define each")]
pub struct Protocol {
    pub name: String,
    pub about: String,
    pub t50_ms: Spread,
    pub t90_ms: Spread,
    pub t99_ms: Spread,
    pub t100_ms: Spread,
    pub messages_per_node: Spread,
    pub control_per_node: Spread,
    pub node_messages_max: Spread,
    pub reached_all: Share,
}

impl Beside {
    /// The figures over the seeds.
    pub fn document(&self) -> BesideDocument {
        BesideDocument {
            schema: SCHEMA,
            scenario: self.scenario.clone(),
            nodes: self.nodes,
            seed: self.seed.to_string(),
            seeds: self.ways.first().map_or(0, |way| way.runs.len()),
            protocols: self.ways.iter().map(protocol).collect(),
        }
    }
}

fn protocol(way: &BesideWay) -> Protocol {
    let at = |percent| way.sample(|run| run.reached(percent)).spread();
    Protocol {
        name: way.name.clone(),
        about: way.about.clone(),
        t50_ms: at(50),
        t90_ms: at(90),
        t99_ms: at(99),
        t100_ms: at(100),
        messages_per_node: way.sample(|run| Some(run.messages)).spread(),
        control_per_node: way.sample(|run| Some(run.control)).spread(),
        node_messages_max: way.sample(|run| Some(run.node_messages_max as f64)).spread(),
        reached_all: way.reached_all(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::results::fixture;

    /// Three ways with courses that are easy to tell apart; the last never reaches all.
    pub(crate) fn beside() -> Beside {
        let course = |slow: f64, last: u32| Course {
            steps: (1..=last).map(|n| (f64::from(n - 1) * slow, f64::from(n) / 50.0)).collect(),
            messages: 150,
            node_messages_max: 3,
        };
        let way = |name: &str, slow: f64, last: u32| BesideWay {
            name: name.to_owned(),
            about: format!("{name} with a fan-out of 3"),
            runs: (0..5)
                .map(|seed| SpreadBeside::of_rival(&course(slow + f64::from(seed), last), 50))
                .collect(),
        };
        let mut arcs = way("arcs", 1.0, 50);
        arcs.runs.iter_mut().for_each(|run| run.control = 1.5);
        let ways = vec![arcs, way("periodic", 20.0, 50), way("push-once", 1.0, 47)];
        Beside { scenario: "loss".to_owned(), nodes: 50, seed: 1, ways }
    }

    #[test]
    fn the_engines_figures_are_those_of_its_last_publish() {
        let run = fixture::partition(50, 3, 1);
        let last = run.summary.rumors.iter().rfind(|rumor| rumor.kind == "metadata").unwrap();
        let got = SpreadBeside::of_engine(&run).unwrap();
        assert_eq!((got.reached(50), got.reached(100)), (last.t50_ms, last.t100_ms));
        assert_eq!(got.messages, last.messages as f64 / 50.0);
        assert_eq!(got.control, last.control_messages as f64 / 50.0);
        assert_eq!(SpreadBeside::of_engine(&fixture::partition(50, 0, 1)), None);
    }

    #[test]
    fn figures_of_a_rival_are_counted_over_its_course() {
        let document = beside().document();
        let [arcs, _, once] = &document.protocols[..] else { panic!("three ways") };
        // The 25th of 50 nodes, at a pace of 1 to 5 ms: the middle seed's is 3.
        assert_eq!(arcs.t50_ms.median, Some(24.0 * 3.0));
        assert_eq!((arcs.t100_ms.censored, arcs.reached_all.held), (0, 5));
        assert_eq!((once.t100_ms.median, once.t100_ms.censored), (None, 5));
        assert_eq!((once.reached_all.held, once.reached_all.n), (0, 5));
        assert_eq!(arcs.messages_per_node.median, Some(3.0));
        assert_eq!(arcs.control_per_node.mean, Some(1.5));
    }
}
