//! The protocols that scenarios may run: what each must offer to be simulated, and who does.
//!
//! [`Simulated`] is what a protocol implements beside [`rumormill::core::Protocol`]. The scenario
//! language knows protocols by their [`Spec`]s; the world runs them by their types.

mod bits;
mod engine;
mod keys;
mod pekonode;
mod simulated;

use std::sync::{Arc, OnceLock};

use rumormill::Config;
use rumormill::core::{CommandKind, Engine, Identity, SharedRecords};

pub use self::keys::{Key, KeyError, KeyValue, Keys};
pub use self::simulated::{Claim, Forgery, FullState, Lie, Passage, Setup, Simulated};

/// What the scenario language and the measures need to know of a protocol.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// What scenarios call it.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// What `[protocol]` takes beside its name.
    pub keys: &'static [Key],
    /// Every kind of packet, as traces name it.
    pub kinds: &'static [&'static str],
    /// Which lies can be told in it.
    pub lies: &'static [Lie],
    /// What its nodes can't be told to do.
    pub refuses: &'static [CommandKind],
    /// By what its nodes know each other.
    pub identity: Identity,
    /// Whether it keeps its settings in `[engine]`.
    pub settings: SettingsPlace,
    check: fn(&Arc<Config>, &Keys) -> Result<(), KeyError>,
}

/// Bytes of key and value of each entry that nodes begin with.
pub(crate) const ENTRY_LEN: usize = 100;

/// Where a protocol's settings stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsPlace {
    /// In `[engine]`: it is the one that all its keys are made for.
    Engine,
    /// In `[protocol]`; of `[engine]` it is handed [`HANDED`] alone.
    Own,
}

/// What of `[engine]` every protocol is handed.
pub const HANDED: [&str; 3] = ["fan_out", "cycle", "timeout"];

impl Spec {
    /// That of a protocol.
    pub const fn of<P: Simulated>() -> Self {
        Self {
            name: P::NAME,
            about: P::ABOUT,
            keys: P::KEYS,
            kinds: P::KINDS,
            lies: P::LIES,
            refuses: P::REFUSES,
            identity: P::IDENTITY,
            settings: P::SETTINGS,
            check: |config, keys| {
                let setup = Setup { config, keys, roster: &Arc::<SharedRecords>::default() };
                P::settings(&setup).map(drop)
            },
        }
    }

    /// Whether nodes can be set up like that.
    ///
    /// # Errors
    /// The key that has a wrong value, and why.
    pub fn check(&self, config: &Arc<Config>, keys: &Keys) -> Result<(), KeyError> {
        (self.check)(config, keys)
    }

    /// Whether it is the protocol of rumormill's own engine.
    pub fn is_ours(&self) -> bool {
        self.name == Engine::NAME
    }
}

/// The protocol of a run, and what its own keys are set to.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Which it is.
    pub spec: Spec,
    /// Its keys, all of them.
    pub keys: Keys,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { spec: OURS[0], keys: Keys::default() }
    }
}

/// Those that are always there; the first is meant where none is named.
const OURS: [Spec; 2] = [Spec::of::<Engine>(), Spec::of::<rumormill::pekonode::LegacyEngine>()];

/// Those that a program brings along.
static OTHERS: OnceLock<Vec<Spec>> = OnceLock::new();

/// Every protocol that a scenario may name.
pub fn known() -> impl Iterator<Item = &'static Spec> {
    OURS.iter().chain(OTHERS.get().into_iter().flatten())
}

/// Makes more protocols known, before any scenario is read.
pub(crate) fn bring(others: Vec<Spec>) {
    let names = || known().map(|spec| spec.name).chain(others.iter().map(|spec| spec.name));
    for name in names() {
        assert!(names().filter(|&other| other == name).count() == 1, "two protocols named {name}");
    }
    assert!(OTHERS.set(others).is_ok(), "protocols are brought along once");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_names_all_that_its_packets_are() {
        for spec in known() {
            assert!(!spec.kinds.is_empty() && !spec.about.is_empty(), "{}", spec.name);
            let keys = Keys::defaults(spec.keys);
            assert_eq!(spec.check(&Arc::default(), &keys), Ok(()), "{}", spec.name);
        }
    }
}
