//! Scenarios drawn by a seed: small clusters, odd settings and networks, and many things at once.

use rumormill::rng::Rng;
use rumormill_sim::scenario;

/// What packets there are, as traces name them.
const KINDS: [&str; 24] = [
    "bulk",
    "rumor",
    "rumor_ack",
    "join",
    "welcome",
    "swap_request",
    "swap_answer",
    "vector",
    "ids",
    "wanted",
    "records",
    "value",
    "announced",
    "fetch",
    "fetched",
    "last_call",
    "alive",
    "probe",
    "probe_answer",
    "probe_request",
    "vouch",
    "echo",
    "compare",
    "coverage",
];

/// The name and the text of the scenario with this number among those of this seed.
///
/// Now and then one is drawn that strikes nodes of which none is left: the next takes its place.
pub fn scenario(seed: u64, number: u64) -> (String, String) {
    let mut draw = Draw(Rng::fork(seed, "same runs", number));
    let name = format!("same-{number}");
    loop {
        let text = draw.scenario(&name);
        let read = scenario::parse(&name, &text, &[]);
        if read.and_then(|it| it.plan(seed)).is_ok() {
            return (name, text);
        }
    }
}

/// What is drawn of one scenario.
struct Draw(Rng);

impl Draw {
    fn scenario(&mut self, name: &str) -> String {
        let (nodes, seconds) = (self.nodes(), self.0.between(12, 30));
        let parts = [
            format!("name = \"{name}\"\nnodes = {nodes}\nduration = \"{seconds}s\"\n"),
            self.start(),
            self.engine(nodes),
            self.network("[network]\n"),
            self.groups(nodes),
            self.actions(nodes, seconds),
        ];
        parts.concat()
    }

    fn pick(&mut self, of: &[&str]) -> String {
        of[self.0.below(of.len())].to_owned()
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.0.below(times) == 0
    }

    /// A line of TOML, once in so many times.
    fn line(&mut self, times: usize, key: &str, values: &[&str]) -> String {
        let value = self.pick(values);
        if self.once_in(times) { format!("{key} = {value}\n") } else { String::new() }
    }

    /// A few nodes more often than many: most orders of events are there with few.
    fn nodes(&mut self) -> u64 {
        let most = [4, 8, 16, 32][self.0.below(4)];
        self.0.between(2, most)
    }

    fn start(&mut self) -> String {
        let bootstraps =
            ["\"first\"", "{ random = 2 }", "\"full\"", "{ knows = \"60%\" }", "\"first\""];
        [
            self.line(1, "bootstrap", &bootstraps),
            self.line(2, "start", &["\"0s..2s\"", "\"0s..500ms\""]),
            "warmup = \"2s\"\n".to_owned(),
        ]
        .concat()
    }

    fn engine(&mut self, nodes: u64) -> String {
        let periods = [("200ms", "1s"), ("500ms", "2s"), ("1s", "4s"), ("2s", "5s")];
        let (cycle, timeout) = periods[self.0.below(periods.len())];
        let room = nodes + 12;
        let members_max = format!("{room}");
        [
            format!("\n[engine]\ncycle = \"{cycle}\"\ntimeout = \"{timeout}\"\n"),
            self.line(1, "liveness", &["\"beats\"", "\"probes\"", "\"beats\"", "\"probes\""]),
            self.line(1, "fan_out", &["1", "2", "3", "4", "8"]),
            self.line(4, "protocol", &["\"tcp\""]),
            self.line(8, "swap", &["\"off\""]),
            self.line(3, "size", &["1400", "4096"]),
            self.line(6, "buffer", &["16", "64"]),
            self.line(4, "redial", &["\"1s\"", "\"3s\""]),
            self.line(8, "redial_for", &["\"5s\""]),
            self.line(6, "relay_delay", &["\"20ms\"", "\"100ms\""]),
            self.line(6, "ack_timeout", &["\"15ms\"", "\"200ms\""]),
            self.line(6, "clock_skew_max", &["\"1s\"", "\"10s\""]),
            self.line(8, "members_max", &[&members_max]),
        ]
        .concat()
    }

    /// Keys of `[network]` below a heading.
    fn network(&mut self, heading: &str) -> String {
        let latencies = [
            "\"1ms..10ms\"",
            "\"20ms\"",
            "\"40ms..400ms\"",
            "{ lognormal = { median = \"5ms\", p99 = \"60ms\" }, min = \"1ms\" }",
        ];
        let losses = [
            "\"1%\"",
            "\"10%\"",
            "\"30%\"",
            "{ burst = { enter = \"2%\", leave = \"20%\", loss = \"90%\" } }",
        ];
        [
            format!("\n{heading}"),
            self.line(1, "latency", &latencies),
            self.line(2, "loss", &losses),
            self.line(4, "jitter", &["\"3ms\""]),
            self.line(3, "duplicate", &["\"1%\"", "\"20%\""]),
            self.line(4, "reorder", &["\"5%\""]),
            self.line(6, "corrupt", &["\"1%\""]),
            self.line(8, "mtu", &["1280", "1500"]),
            self.line(6, "bandwidth", &["\"256kbit/s\"", "\"2Mbit/s\""]),
        ]
        .concat()
    }

    /// Two halves, and now and then a link between them.
    fn groups(&mut self, nodes: u64) -> String {
        let half = nodes / 2;
        let clocks = [
            "{ offset = \"-2min\" }",
            "{ offset = \"1h\" }",
            "{ offset = \"30ms\", drift = \"0.1%\" }",
        ];
        let engines = ["{ fan_out = 2 }", "{ buffer = 8 }", "{ size = 1400 }"];
        let mut text = format!(
            "\n[groups.east]\nnodes = \"0..{half}\"\n\n[groups.west]\nnodes = \"{half}..{nodes}\"\n"
        );
        text += &self.line(2, "name", &["\"w-{i}\""]);
        text += &self.line(3, "private_data", &["\"zone=west\""]);
        text += &self.line(3, "clock", &clocks);
        text += &self.line(4, "engine", &engines);
        if self.once_in(4) {
            text += &self.network("[[link]]\nbetween = [\"east\", \"west\"]\n");
        }
        text
    }

    /// At whole seconds, so that some fall together.
    fn actions(&mut self, nodes: u64, seconds: u64) -> String {
        let count = self.0.between(3, 9);
        let action = |_| {
            let second = self.0.between(1, seconds * 3 / 4);
            let action = self.action(nodes);
            format!("\n[[at]]\ntime = \"{second}s\"\n{action}\n")
        };
        (0..count).map(action).collect()
    }

    fn action(&mut self, nodes: u64) -> String {
        match self.0.below(22) {
            0..3 => self.publish(),
            3 => self.struck("crash", "for = \"3s\""),
            4 => self.struck("leave", "for = \"2s\""),
            5..8 => self.restart(),
            8 => self.struck("stop", "for = \"6s\""),
            9 => self.struck("pause", "for = \"4s\""),
            10 => self.struck("suspend", "for = \"5s\""),
            11 => self.join(),
            12 => self.clock(),
            13 => self.cut(nodes),
            14..16 => self.link(),
            16 => self.update(),
            17..19 => self.drop_one(),
            19 => self.replay(),
            20 => self.inject(nodes),
            _ => self.struck("isolate", "for = \"3s\""),
        }
    }

    /// Some nodes that run, and what undoes it, half of the time.
    fn struck(&mut self, action: &str, undone: &str) -> String {
        let random = self.pick(&["1%", "20%", "50%"]);
        let undone = if action == "isolate" || self.once_in(2) { undone } else { "" };
        let chosen = format!("{{ random = \"{random}\", from = \"live\", except = \"0\" }}");
        format!("{action} = {chosen}\n{undone}")
    }

    fn publish(&mut self) -> String {
        let what = self.pick(&[
            "data = \"v\"",
            "size = \"40B\"",
            "size = \"900B\"",
            "size = \"3KiB\"",
            "size = \"100KiB\"",
        ]);
        let again = self.pick(&["", "", "every = \"700ms\"\ncount = 4"]);
        format!("publish = {{ node = {{ random = 1 }}, {what} }}\n{again}")
    }

    fn restart(&mut self) -> String {
        let address = self.pick(&["same", "new", "former"]);
        let manner = self.pick(&["crash", "leave"]);
        let down = self.pick(&["0s", "500ms", "3s"]);
        let again = self.pick(&["", "every = \"3s\"\ncount = 2", "stagger = \"300ms\""]);
        let random = self.pick(&["1%", "30%", "100%"]);
        let more = self.pick(&["", "", ", forgets = \"generation\"", ", stale_seeds = \"4s\""]);
        format!(
            "restart = {{ nodes = {{ random = \"{random}\" }}, manner = \"{manner}\", down = \
             \"{down}\", address = \"{address}\"{more} }}\n{again}"
        )
    }

    fn join(&mut self) -> String {
        let (count, over) = (self.0.between(1, 4), self.pick(&["0s", "2s"]));
        format!("join = {{ count = {count}, via = {{ random = 2 }}, over = \"{over}\" }}\n")
    }

    fn clock(&mut self) -> String {
        let change = self.pick(&[
            "offset = \"-2min\"",
            "offset = \"1d\"",
            "jump = \"8s\"",
            "jump = \"-3s\"",
            "drift = \"1%\"",
        ]);
        let undone = self.pick(&["", "for = \"5s\""]);
        format!("clock = {{ nodes = {{ random = 2 }}, {change} }}\n{undone}")
    }

    fn cut(&mut self, nodes: u64) -> String {
        let at = self.0.between(1, nodes - 1);
        let lasts = self.pick(&["1s", "4s", "9s"]);
        format!("partition = [\"0..{at}\", \"{at}..{nodes}\"]\nfor = \"{lasts}\"\n")
    }

    fn link(&mut self) -> String {
        let change = self.pick(&[
            "loss = \"100%\"",
            "latency = \"200ms..900ms\"",
            "duplicate = \"50%\"",
            "mtu = 1000",
            "corrupt = \"20%\"",
            "reorder = \"50%\"",
            "bandwidth = \"64kbit/s\"",
            "loss = { burst = { enter = \"5%\", leave = \"10%\", loss = \"100%\" } }",
        ]);
        let ends = self.pick(&["from = 0, to = \"all\"", "between = [\"east\", \"west\"]"]);
        format!("link = {{ {ends}, {change} }}\nfor = \"4s\"\n")
    }

    fn update(&mut self) -> String {
        let change = self.pick(&["name = \"n-{i}\"", "private_data = \"role=writer\""]);
        let random = self.pick(&["1%", "60%"]);
        format!("update = {{ nodes = {{ random = \"{random}\" }}, {change} }}\n")
    }

    /// One packet of a kind, once or time and again.
    fn drop_one(&mut self) -> String {
        let kind = self.pick(&KINDS);
        let nth = self.0.between(1, 3);
        let ends = self.pick(&["", ", from = \"east\"", ", to = { random = 1 }"]);
        let again = self.pick(&["", "every = \"200ms\"\ncount = 10"]);
        format!("drop = {{ kind = \"{kind}\", nth = {nth}{ends} }}\n{again}")
    }

    fn replay(&mut self) -> String {
        let ends = self.pick(&["", "from = { random = 1 }, ", "from = \"east\", to = \"west\", "]);
        let after = self.pick(&["0s", "700ms", "8s"]);
        format!("replay = {{ {ends}after = \"{after}\" }}\nfor = \"3s\"\n")
    }

    fn inject(&mut self, nodes: u64) -> String {
        let of = self.0.below(nodes as usize);
        let what = match self.0.below(6) {
            0 => format!("kind = \"goodbye\", of = {of}"),
            1 => format!("kind = \"tombstone\", of = {of}"),
            2 => format!("kind = \"record\", of = {of}"),
            3 => {
                let generation = self.pick(&["+1", "max"]);
                format!("kind = \"generation\", of = {of}, generation = \"{generation}\"")
            }
            4 => "kind = \"join\"".to_owned(),
            _ => "kind = \"bytes\", bytes = \"726d0100ffffffff\"".to_owned(),
        };
        let from = self.pick(&["0", "\"10.9.9.9:8000\""]);
        format!("inject = {{ to = {{ random = \"40%\" }}, from = {from}, {what} }}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;

    use rumormill::core::PacketKind;

    /// What the net is to be held under.
    const SUBJECTS: [&str; 34] = [
        "liveness = \"probes\"",
        "liveness = \"beats\"",
        "protocol = \"tcp\"",
        "swap = \"off\"",
        "size = \"100KiB\"",
        "address = \"new\"",
        "address = \"former\"",
        "manner = \"leave\"",
        "clock = {",
        "[[link]]",
        "burst",
        "duplicate",
        "mtu",
        "bandwidth",
        "engine = {",
        "partition",
        "isolate",
        "pause",
        "stop",
        "join",
        "\nleave",
        "\ncrash",
        "every",
        "stagger",
        "suspend",
        "update",
        "\ndrop",
        "replay",
        "inject",
        "corrupt",
        "reorder",
        "forgets",
        "stale_seeds",
        "jump",
    ];

    #[test]
    fn every_number_has_a_scenario_and_together_they_have_all_subjects() {
        let mut seen = BTreeSet::new();
        for number in 0..80 {
            let (_, text) = scenario(1, number);
            seen.extend(SUBJECTS.into_iter().filter(|subject| text.contains(subject)));
        }
        assert_eq!(seen, BTreeSet::from(SUBJECTS));
    }

    #[test]
    fn packets_of_every_kind_there_is_may_get_lost() {
        let drops =
            KINDS.map(|kind| format!("[[at]]\ntime = \"1s\"\ndrop = {{ kind = \"{kind}\" }}\n"));
        let text = format!("name = \"a\"\nnodes = 2\nduration = \"2s\"\n{}", drops.concat());
        scenario::parse("a", &text, &[]).and_then(|it| it.plan(1)).unwrap();
        assert_eq!(BTreeSet::from(KINDS).len(), PacketKind::ALL.len());
    }

    #[test]
    fn a_number_has_one_scenario_in_each_seed() {
        assert_eq!(scenario(1, 7), scenario(1, 7));
        assert_ne!(scenario(1, 7).1, scenario(2, 7).1);
        assert_ne!(scenario(1, 7).1, scenario(1, 8).1);
    }
}
