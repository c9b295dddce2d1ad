//! Random scenarios: settings, sizes, networks and faults, with a quiet tail to settle in.
//!
//! In each scenario a random half of the kinds of faults is left out, so that no kind always hides
//! what another would show, and many times fall together, for that is where orders matter.

mod writes;

use std::ops::RangeInclusive;
use std::time::Duration;

use rumormill::rng::Rng;
use rumormill::units::show_duration;
use toml::{Table, Value};

use self::writes::Writes;

/// What a random scenario is drawn around.
#[derive(Clone, Debug)]
pub(crate) enum Around {
    /// Nothing: everything is drawn, with so many nodes.
    Nothing(RangeInclusive<u32>),
    /// A scenario, which gets more faults and keeps all else.
    Scenario(Table),
}

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ActionChoice {
    Partition,
    Isolate,
    OneWay,
    Loss,
    Latency,
    Crash,
    Restart,
    Stop,
    Leave,
    Join,
    Pause,
    Clock,
    Publish,
    Update,
    Suspend,
    Drop,
    Replay,
    Starve,
    Slow,
}

const KINDS: [ActionChoice; 19] = [
    ActionChoice::Partition,
    ActionChoice::Isolate,
    ActionChoice::OneWay,
    ActionChoice::Loss,
    ActionChoice::Latency,
    ActionChoice::Crash,
    ActionChoice::Restart,
    ActionChoice::Stop,
    ActionChoice::Leave,
    ActionChoice::Join,
    ActionChoice::Pause,
    ActionChoice::Clock,
    ActionChoice::Publish,
    ActionChoice::Update,
    ActionChoice::Suspend,
    ActionChoice::Drop,
    ActionChoice::Replay,
    ActionChoice::Starve,
    ActionChoice::Slow,
];

/// What leaves the network as it is: where all of it works, laws can ask for more.
const HARMLESS: [ActionChoice; 6] = [
    ActionChoice::Publish,
    ActionChoice::Update,
    ActionChoice::Join,
    ActionChoice::Leave,
    ActionChoice::Crash,
    ActionChoice::Restart,
];

/// How the network of a scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DrawnWeather {
    Any,
    /// Perfect, and no fault touches it.
    Calm,
}

/// The scenario of this number under a seed: always the same.
pub(crate) fn generate(around: &Around, seed: u64, number: u64) -> Table {
    let rng = Rng::fork(seed, "fuzz", number);
    let versions = Versions::draw(Rng::fork(seed, "fuzz versions", number));
    let mut draw = Draw { rng, versions, times: Vec::new() };
    match around {
        Around::Nothing(nodes) => {
            let mut scenario = draw.scenario(nodes.clone());
            let writes = Writes::draw(Rng::fork(seed, "fuzz writes", number));
            writes.add(&mut scenario, Draw::BUSY_MS);
            scenario
        }
        Around::Scenario(scenario) => draw.more_faults(scenario.clone()),
    }
}

/// Which versions of the wire the nodes speak, and what they say that goes with one alone: drawn
/// apart, so that all else is as it would be without.
struct Versions {
    rng: Rng,
    mix: Mix,
}

/// How many versions there are in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mix {
    /// All speak the latest.
    Latest,
    /// All begin with the latest, and some who restart speak another.
    Downgrades,
    /// All begin with the first, and some who restart speak another.
    Upgrades,
}

impl Versions {
    fn draw(mut rng: Rng) -> Self {
        let mix = match rng.between(1, 5) {
            1 => Mix::Downgrades,
            2 => Mix::Upgrades,
            _ => Mix::Latest,
        };
        Self { rng, mix }
    }

    /// Up to which version those speak who restart now, if they change that.
    fn of_restart(&mut self) -> Option<i64> {
        let number = i64::try_from(self.rng.between(0, 2)).expect("at most 2");
        (self.mix != Mix::Latest && number > 0).then_some(number)
    }

    /// Tags for some who change what they say.
    fn tags(&mut self) -> Option<Value> {
        let tag = format!("role=t{}", self.rng.between(1, 3));
        (self.rng.between(1, 2) == 1).then(|| Value::Array(vec![tag.into()]))
    }
}

struct Draw {
    rng: Rng,
    versions: Versions,
    /// Of what happened so far, in milliseconds: others happen at the same time.
    times: Vec<u64>,
}

impl Draw {
    /// Virtual time in which things happen.
    const BUSY_MS: u64 = 25_000;
    /// Time in which faults that end by themselves do so.
    const HOLD_MS: u64 = 12_000;
    const ACTIONS_MAX: u64 = 10;

    fn scenario(&mut self, nodes: RangeInclusive<u32>) -> Table {
        let nodes = self.size(nodes);
        let weather = if self.chance(6) { DrawnWeather::Calm } else { DrawnWeather::Any };
        let cycle = self.one(&[200, 500, 1_000, 1_000]);
        let timeout = cycle * self.between(4, 8) + self.one(&[0, 500, 2_000]);
        let mut scenario = Table::new();
        set(&mut scenario, "name", "found");
        set(&mut scenario, "nodes", i64::from(nodes));
        self.bootstrap(&mut scenario, nodes);
        let engine = self.engine(cycle, timeout);
        scenario.insert("engine".into(), Value::Table(engine));
        let network = self.network(cycle, weather);
        scenario.insert("network".into(), Value::Table(network));
        if self.chance(8) {
            let group = self.group(nodes, cycle);
            scenario.insert("groups".into(), Value::Table(group));
        }
        let actions = self.actions(nodes, weather);
        let tail = settle_ms(cycle, timeout);
        let duration = Duration::from_millis(Self::BUSY_MS + Self::HOLD_MS + tail);
        set(&mut scenario, "duration", show_duration(duration));
        if let Some(engine) = scenario.get_mut("engine").and_then(Value::as_table_mut)
            && self.chance(8)
        {
            // Room for all, but not for a former address of anybody.
            set(engine, "members_max", i64::from(nodes) + newcomers(&actions));
        }
        scenario.insert("at".into(), Value::Array(actions));
        scenario
    }

    /// Keeps what stands in a file, and lets more happen in the first half of it.
    fn more_faults(&mut self, mut scenario: Table) -> Table {
        let nodes = scenario.get("nodes").and_then(Value::as_integer).unwrap_or(1);
        let mut actions = self.actions(u32::try_from(nodes).unwrap_or(1), DrawnWeather::Any);
        if let Some(own) = scenario.get("at").and_then(Value::as_array) {
            actions.extend(own.iter().cloned());
        }
        scenario.insert("at".into(), Value::Array(actions));
        scenario
    }

    /// Small ones are as likely as all the rest.
    fn size(&mut self, nodes: RangeInclusive<u32>) -> u32 {
        let (least, most) = (u64::from(*nodes.start()), u64::from(*nodes.end()));
        let most = if self.chance(2) { most.min(least + 6) } else { most };
        u32::try_from(self.between(least, most)).expect("both ends are numbers of nodes")
    }

    fn bootstrap(&mut self, scenario: &mut Table, nodes: u32) {
        let random = |count: i64| {
            let mut table = Table::new();
            set(&mut table, "random", count);
            Value::Table(table)
        };
        let others = i64::from(nodes) - 1;
        let bootstrap = match self.between(0, 5) {
            0 | 1 => Value::String("first".into()),
            2 | 3 if others > 0 => random(self.number(1, others.min(3))),
            4 => Value::String("full".into()),
            _ => return,
        };
        scenario.insert("bootstrap".into(), bootstrap);
        if self.chance(4) {
            set(scenario, "start", "0s..3s");
        }
    }

    fn engine(&mut self, cycle: u64, timeout: u64) -> Table {
        let mut engine = Table::new();
        set(&mut engine, "cycle", ms(cycle));
        set(&mut engine, "timeout", ms(timeout));
        set(&mut engine, "redial", "2s");
        set(&mut engine, "fan_out", self.number(2, 5));
        if self.chance(2) {
            set(&mut engine, "liveness", self.one(&["auto", "beats", "probes"]));
        }
        if self.chance(8) {
            set(&mut engine, "protocol", "tcp");
        }
        if self.chance(8) {
            set(&mut engine, "size", self.one(&[512_i64, 1_400, 9_000]));
        }
        if self.versions.mix == Mix::Upgrades {
            set(&mut engine, "wire_max", 1_i64);
        }
        engine
    }

    fn network(&mut self, cycle: u64, weather: DrawnWeather) -> Table {
        let mut network = Table::new();
        if weather == DrawnWeather::Calm {
            set(&mut network, "latency", self.one(&["1ms", "1ms..10ms"]));
            return network;
        }
        let longest = (cycle / 10).min(50);
        let latency = match self.between(0, 3) {
            0 => "1ms".to_owned(),
            1 => "1ms..10ms".to_owned(),
            2 => format!("0s..{longest}ms"),
            _ => format!("{}ms..{longest}ms", longest / 2),
        };
        set(&mut network, "latency", latency);
        let rare = [("loss", [1, 5, 15]), ("duplicate", [1, 10, 50]), ("reorder", [1, 10, 50])];
        for (key, percents) in rare {
            if self.chance(3) {
                set(&mut network, key, format!("{}%", self.one(&percents)));
            }
        }
        if self.chance(12) {
            set(&mut network, "mtu", self.one(&[1_280_i64, 1_500]));
        }
        network
    }

    /// A few nodes with a detector, or a pace, of their own.
    fn group(&mut self, nodes: u32, cycle: u64) -> Table {
        let mut own = Table::new();
        match self.chance(2) {
            true => set(&mut own, "timeout", ms(cycle * self.between(5, 9))),
            false => set(&mut own, "fan_out", self.number(1, 6)),
        }
        let mut group = Table::new();
        group.insert("nodes".into(), nodes_value(&self.nodes(nodes)));
        group.insert("engine".into(), Value::Table(own));
        let mut groups = Table::new();
        groups.insert("others".into(), Value::Table(group));
        groups
    }

    /// Up to so many actions of half of the kinds, in order of time.
    fn actions(&mut self, nodes: u32, weather: DrawnWeather) -> Vec<Value> {
        let mut kinds = match weather {
            DrawnWeather::Any => KINDS.to_vec(),
            DrawnWeather::Calm => HARMLESS.to_vec(),
        };
        self.rng.shuffle(&mut kinds);
        kinds.truncate(kinds.len() / 2);
        let count = self.between(1, Self::ACTIONS_MAX);
        let mut actions: Vec<(u64, Table)> = (0..count)
            .map(|_| {
                let kind = self.one(&kinds);
                let time = self.time();
                (time, self.action(kind, time, nodes))
            })
            .collect();
        actions.sort_by_key(|&(time, _)| time);
        actions.into_iter().map(|(_, action)| Value::Table(action)).collect()
    }

    fn action(&mut self, kind: ActionChoice, time: u64, nodes: u32) -> Table {
        let mut action = Table::new();
        set(&mut action, "time", ms(time));
        let (verb, what) = match kind {
            ActionChoice::Partition => ("partition", Value::Array(vec![self.some(nodes)])),
            ActionChoice::Isolate => ("isolate", self.some(nodes)),
            ActionChoice::OneWay => ("link", self.one_way(nodes)),
            ActionChoice::Loss => ("loss", format!("{}%", self.one(&[10, 40, 80])).into()),
            ActionChoice::Latency => ("latency", self.one(&["50ms..100ms", "1s..2s", "5s"]).into()),
            ActionChoice::Crash => ("crash", self.some(nodes)),
            ActionChoice::Leave => ("leave", self.some(nodes)),
            ActionChoice::Stop => ("stop", self.some(nodes)),
            ActionChoice::Pause => ("pause", self.some(nodes)),
            ActionChoice::Restart => ("restart", self.restart(time, nodes)),
            ActionChoice::Clock => ("clock", self.clock(nodes)),
            ActionChoice::Join => ("join", self.join()),
            ActionChoice::Publish => ("publish", self.publish(nodes)),
            ActionChoice::Update => ("update", self.update(nodes)),
            ActionChoice::Suspend => ("suspend", self.some(nodes)),
            ActionChoice::Drop => ("drop", self.drop()),
            ActionChoice::Replay => ("replay", self.replay(nodes)),
            ActionChoice::Starve => ("starve", self.starve(nodes)),
            ActionChoice::Slow => ("slow", self.slow(nodes)),
        };
        action.insert(verb.into(), what);
        let ends = match kind {
            ActionChoice::Partition
            | ActionChoice::Isolate
            | ActionChoice::OneWay
            | ActionChoice::Loss
            | ActionChoice::Latency => true,
            ActionChoice::Stop
            | ActionChoice::Pause
            | ActionChoice::Suspend
            | ActionChoice::Starve
            | ActionChoice::Slow
            | ActionChoice::Replay => true,
            ActionChoice::Crash => self.chance(2),
            ActionChoice::Leave => self.chance(3),
            ActionChoice::Restart | ActionChoice::Clock | ActionChoice::Join => false,
            ActionChoice::Publish | ActionChoice::Update | ActionChoice::Drop => false,
        };
        if ends {
            self.hold(&mut action, time);
        }
        action
    }

    fn some(&mut self, nodes: u32) -> Value {
        nodes_value(&self.nodes(nodes))
    }

    fn one_way(&mut self, nodes: u32) -> Value {
        let (from, to) = self.two_sides(nodes);
        let loss = self.one(&["30%", "100%"]);
        table([("from", from), ("to", to), ("loss", loss.into())])
    }

    fn restart(&mut self, time: u64, nodes: u32) -> Value {
        let most = Self::BUSY_MS + Self::HOLD_MS - time;
        // No process starts in the instant in which another ends: two lives would be of one time.
        let down = self.one(&[1, 1, 200, 3_000, 9_000]).min(most);
        let manner = self.one(&["crash", "leave"]);
        let address = self.one(&["same", "same", "new", "former"]);
        let mut restart = vec![
            ("nodes", self.some(nodes)),
            ("manner", manner.into()),
            ("down", ms(down).into()),
            ("address", address.into()),
        ];
        match self.between(1, 6) {
            1 => restart.push(("forgets", "generation".into())),
            2 | 3 => restart.push(("keep", true.into())),
            _ => {}
        }
        restart.extend(self.versions.of_restart().map(|wire| ("wire_max", wire.into())));
        table(restart)
    }

    fn clock(&mut self, nodes: u32) -> Value {
        let (key, value) = self.one(&[
            ("offset", "-10s"),
            ("offset", "30s"),
            ("jump", "-2s"),
            ("jump", "-1h"),
            ("jump", "5s"),
            ("jump", "1h"),
            ("drift", "1%"),
        ]);
        table([("nodes", self.some(nodes)), (key, value.into())])
    }

    fn join(&mut self) -> Value {
        let via = table([("random", self.number(1, 2).into())]);
        table([("count", self.number(1, 3).into()), ("via", via)])
    }

    fn update(&mut self, nodes: u32) -> Value {
        let own = format!("v{}", self.between(1, 3));
        let mut update = vec![("nodes", self.some(nodes)), ("private_data", own.into())];
        update.extend(self.versions.tags().map(|tags| ("tags", tags)));
        table(update)
    }

    fn drop(&mut self) -> Value {
        let kind = self.one(&["rumor", "rumor_ack", "join", "welcome", "swap_answer", "alive"]);
        table([("kind", kind.into()), ("nth", self.number(1, 5).into())])
    }

    fn replay(&mut self, nodes: u32) -> Value {
        let (from, to) = self.two_sides(nodes);
        let after = self.one(&[1, 500, 4_000, 9_000]);
        table([("from", from), ("to", to), ("after", ms(after).into())])
    }

    fn starve(&mut self, nodes: u32) -> Value {
        let delay = self.one(&["50ms..200ms", "500ms..2500ms", "5s"]);
        table([("nodes", self.some(nodes)), ("delay", delay.into())])
    }

    fn slow(&mut self, nodes: u32) -> Value {
        let cpu = self.one(&["50%", "5%", "0.5%"]);
        table([("nodes", self.some(nodes)), ("cpu", cpu.into())])
    }

    fn publish(&mut self, nodes: u32) -> Value {
        let size = self.one(&[1_i64, 100, 900, 1_300, 5_000, 60_000]);
        table([("node", i64::from(self.node(nodes)).into()), ("size", size.into())])
    }

    /// Lets a fault end before the quiet tail.
    fn hold(&mut self, action: &mut Table, time: u64) {
        let hold = self.one(&[1, 100, 500, 1_000, 3_000, 5_000, 8_000, Self::HOLD_MS]);
        self.times.push(time + hold);
        set(action, "for", ms(hold));
    }

    /// One that was already, a round one, or any.
    fn time(&mut self) -> u64 {
        let time = match self.between(0, 3) {
            0 | 1 if !self.times.is_empty() => {
                let time = self.one(&self.times.clone());
                time + self.one(&[0, 0, 0, 1, 50])
            }
            3 => self.between(0, Self::BUSY_MS),
            _ => self.between(0, Self::BUSY_MS / 500) * 500,
        };
        let time = time.min(Self::BUSY_MS);
        self.times.push(time);
        time
    }

    fn node(&mut self, nodes: u32) -> u32 {
        // Node 0 is the seed of most.
        if self.chance(4) { 0 } else { self.below(nodes) }
    }

    /// One, a few, or any share of them.
    fn nodes(&mut self, nodes: u32) -> Vec<u32> {
        let count = match self.between(0, 3) {
            0 | 1 => 1,
            2 => self.between(1, 4),
            _ => self.between(1, u64::from(nodes)),
        };
        let mut drawn: Vec<u32> = (0..count).map(|_| self.node(nodes)).collect();
        drawn.sort_unstable();
        drawn.dedup();
        drawn
    }

    /// Two sets that have nobody in common: of a single node there are none, and what is drawn then
    /// is refused as a person's file would be.
    fn two_sides(&mut self, nodes: u32) -> (Value, Value) {
        let from = self.nodes(nodes);
        let rest: Vec<u32> = (0..nodes).filter(|node| !from.contains(node)).collect();
        match rest.is_empty() {
            true => (nodes_value(&from[..1]), nodes_value(&from[from.len() - 1..])),
            false => (nodes_value(&from), nodes_value(&rest)),
        }
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.between(1, one_in) == 1
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        self.rng.between(least, most)
    }

    fn number(&mut self, least: i64, most: i64) -> i64 {
        let span = usize::try_from(most - least + 1).expect("in order");
        least + i64::try_from(self.rng.below(span)).expect("below the span")
    }

    fn below(&mut self, nodes: u32) -> u32 {
        u32::try_from(self.rng.below(nodes as usize)).expect("below a number of nodes")
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.below(of.len())]
    }
}

/// How many nodes join.
fn newcomers(actions: &[Value]) -> i64 {
    let joins = actions.iter().filter_map(|action| action.get("join"));
    joins.filter_map(|join| join.get("count")?.as_integer()).sum()
}

/// How long the last fault may be felt, and a little.
fn settle_ms(cycle: u64, timeout: u64) -> u64 {
    // Goodbyes, then what `observe::settling` allows, with a group's longer timeouts.
    3_000 + 5 * timeout.max(9 * cycle) + 20 * cycle + 3 * 2_000 + 3_000
}

fn ms(ms: u64) -> String {
    show_duration(Duration::from_millis(ms))
}

fn set(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.insert(key.to_owned(), value.into());
}

fn table<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn nodes_value(nodes: &[u32]) -> Value {
    match nodes {
        [one] => Value::Integer(i64::from(*one)),
        many => Value::Array(many.iter().map(|&node| Value::Integer(i64::from(node))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_fault_is_drawn() {
        let around = Around::Nothing(2..=8);
        let scenarios = (0..200).map(|number| generate(&around, 1, number));
        let actions = scenarios.flat_map(|scenario| scenario["at"].as_array().unwrap().clone());
        let drawn: std::collections::BTreeSet<String> = actions
            .flat_map(|action| action.as_table().unwrap().keys().cloned().collect::<Vec<_>>())
            .collect();
        let all = "partition isolate link loss latency crash restart stop leave join pause clock \
                   publish update suspend drop replay starve slow put delete";
        let missing: Vec<&str> = all.split(' ').filter(|kind| !drawn.contains(*kind)).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn clusters_of_one_version_and_of_two_are_drawn_and_tags_now_and_then() {
        let around = Around::Nothing(2..=8);
        let (mut drawn, mut mixes) = (std::collections::BTreeSet::new(), 0);
        for number in 0..400 {
            let scenario = generate(&around, 1, number);
            let actions = scenario["at"].as_array().unwrap();
            let says = |action: &str, key: &str| {
                let of = actions.iter().filter_map(|it| it.get(action)?.get(key).cloned());
                of.collect::<Vec<_>>()
            };
            let begins = scenario["engine"].get("wire_max").and_then(Value::as_integer);
            let restarts = says("restart", "wire_max");
            mixes += usize::from(begins.is_some() || !restarts.is_empty());
            drawn.extend(restarts.iter().map(|wire| (begins, wire.as_integer())));
            drawn.extend(says("update", "tags").iter().map(|_| (begins, None)));
        }
        let versions = [None, Some(1), Some(2)];
        let all = [None, Some(1)].into_iter().flat_map(|begins| versions.map(|it| (begins, it)));
        assert_eq!(drawn, all.collect());
        assert!((80..200).contains(&mixes), "{mixes} of 400 scenarios");
    }

    #[test]
    fn no_process_starts_in_the_instant_in_which_it_ended() {
        let around = Around::Nothing(2..=8);
        let scenarios = (0..200).map(|number| generate(&around, 1, number));
        let actions = scenarios.flat_map(|scenario| scenario["at"].as_array().unwrap().clone());
        let restarts = actions.filter_map(|action| action.get("restart").cloned());
        let down: Vec<Value> = restarts.map(|restart| restart["down"].clone()).collect();
        assert!(down.len() > 20 && down.iter().all(|down| *down != Value::from(ms(0))), "{down:?}");
    }
}
