//! Puts and deletes of entries, and the limits that they meet.
//!
//! Drawn apart from all else, so that this is as it would be without them. Few keys, so that nodes
//! write the same ones; and many tombstones are kept for less time than a cut lasts.

use rumormill::rng::Rng;
use rumormill::units::{parse_duration, show_duration};
use toml::{Table, Value};

use super::{ms, set, table};

/// What a random scenario writes.
pub(super) struct Writes {
    rng: Rng,
}

impl Writes {
    const KEYS: [&str; 4] = ["a", "b", "b/1", "c"];
    const COUNT_MAX: u64 = 12;

    pub(super) fn draw(rng: Rng) -> Self {
        Self { rng }
    }

    /// Adds them to the actions of a scenario that is busy for so long; many fall into
    /// the same instants as what else happens. Half of all scenarios have some.
    pub(super) fn add(mut self, scenario: &mut Table, busy_ms: u64) {
        if self.rng.between(1, 2) == 1 {
            return;
        }
        let nodes = scenario["nodes"].as_integer().and_then(|nodes| usize::try_from(nodes).ok());
        let nodes = nodes.expect("a number of nodes");
        let Some(Value::Array(actions)) = scenario.get_mut("at") else { return };
        let times: Vec<Value> = actions.iter().filter_map(|it| it.get("time").cloned()).collect();
        let count = self.rng.between(1, Self::COUNT_MAX);
        for _ in 0..count {
            let action = self.action(&times, nodes, busy_ms);
            actions.push(action);
        }
        if let Some(Value::Table(engine)) = scenario.get_mut("engine") {
            self.limits(engine);
        }
    }

    fn action(&mut self, times: &[Value], nodes: usize, busy_ms: u64) -> Value {
        let time = match self.rng.between(1, 3) {
            1 if !times.is_empty() => times[self.rng.below(times.len())].clone(),
            _ => ms(self.rng.between(0, busy_ms / 500) * 500).into(),
        };
        let node = i64::try_from(self.rng.below(nodes)).expect("a number of nodes");
        let mut write = vec![("node", node.into()), ("key", self.one(&Self::KEYS).into())];
        let verb = if self.rng.between(1, 3) == 1 { "delete" } else { "put" };
        if verb == "put" {
            write.push(("size", self.one(&[0_i64, 8, 100, 900, 5_000, 60_000]).into()));
            match self.rng.between(1, 8) {
                1 => write.push(("bound", true.into())),
                2 => write.push(("ttl", self.one(&["500ms", "3s", "10s"]).into())),
                _ => {}
            }
        }
        table([("time", time), (verb, table(write))])
    }

    /// For how long tombstones are kept, and now and then too little room for all.
    fn limits(&mut self, engine: &mut Table) {
        let cycle = engine.get("cycle").and_then(Value::as_str).map(parse_duration);
        if let Some(Ok(cycle)) = cycle.filter(|_| self.rng.between(1, 4) > 1) {
            // The least that is allowed, and a little more.
            let cycles = self.one(&[10, 10, 12, 30]);
            set(engine, "tombstone_ttl", show_duration(cycle * cycles));
        }
        if self.rng.between(1, 12) == 1 {
            set(engine, "entries_max", self.one(&[1_i64, 2, 3]));
        }
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.below(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use crate::explore::generate::{Around, generate};

    #[test]
    fn half_of_the_scenarios_write_with_all_terms_and_limits() {
        let around = Around::Nothing(2..=8);
        let scenarios = (0..400).map(|number| generate(&around, 1, number));
        let (mut terms, mut limits, mut writing) = ([0; 3], [0; 2], 0);
        for scenario in scenarios {
            let actions = scenario["at"].as_array().unwrap();
            let puts: Vec<_> = actions.iter().filter_map(|it| it.get("put")).collect();
            writing +=
                usize::from(actions.iter().any(|it| it.get("put").or(it.get("delete")).is_some()));
            for (count, key) in terms.iter_mut().zip(["size", "ttl", "bound"]) {
                *count += puts.iter().filter(|put| put.get(key).is_some()).count();
            }
            for (count, key) in limits.iter_mut().zip(["tombstone_ttl", "entries_max"]) {
                *count += usize::from(scenario["engine"].get(key).is_some());
            }
        }
        assert!((150..250).contains(&writing), "{writing}");
        assert!(terms.iter().chain(&limits).all(|&count| count > 5), "{terms:?} {limits:?}");
    }
}
