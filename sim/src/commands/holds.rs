//! A warning of settings of which theory says that they can't keep those who live on the lists.

use std::time::Duration;

use rumormill::config::TransportKind;
use rumormill::units::show_duration;
use rumormill::{Config, Liveness};

use crate::model::theory::{Detector, Watch, mean_loss};
use crate::report::human::{count, percent};
use crate::scenario::Scenario;

/// False removals in an hour from which on a setting is warned of.
const PER_HOUR: f64 = 3.0;

/// The largest timeout that is proposed, in cycles, and the largest fan-out.
const CYCLES_MAX: u32 = 100;
const FAN_OUT_MAX: u32 = 8;

/// A line that says what can't hold, why, and what would, if theory says so of the nodes that have
/// no settings of their own, on links that have none.
pub fn warning(scenario: &Scenario) -> Option<String> {
    let watch = watch(scenario)?;
    let expected = watch.false_removals_per_hour();
    if expected < PER_HOUR {
        return None;
    }
    let by = match watch.detector {
        Detector::Beats { fan_out, .. } => format!("`fan_out = {fan_out}` and "),
        Detector::Probes => format!("`liveness = \"{}\"` and ", scenario.engine().liveness()),
    };
    Some(format!(
        "warning: {}: {by}`timeout = \"{}\"` can't hold at {} loss: theory expects {} false \
         removals an hour among {} nodes; {}\n",
        scenario.name(),
        show_duration(watch.timeout),
        percent(watch.loss),
        count(expected as u64),
        count(watch.nodes.into()),
        fix(&watch, scenario.engine()),
    ))
}

/// Whether [`warning`] has something to say.
pub fn holds(scenario: &Scenario) -> bool {
    watch(scenario).is_none_or(|watch| watch.false_removals_per_hour() < PER_HOUR)
}

/// What theory needs of a scenario; none where it has nothing to say: streams lose nothing, and
/// it is a theory of our own protocol.
fn watch(scenario: &Scenario) -> Option<Watch> {
    let config = scenario.engine();
    if config.protocol() == TransportKind::Tcp || !scenario.protocol().is_ours() {
        return None;
    }
    let detector = match config.liveness() {
        Liveness::Beats => beats(config),
        Liveness::Probes | Liveness::Auto => Detector::Probes,
        // Of what removes nobody, or is newer than this, theory has nothing to say.
        _ => return None,
    };
    Some(Watch {
        nodes: scenario.nodes(),
        loss: mean_loss(scenario.network().loss).as_ppb() as f64 / 1e9,
        cycle: config.cycle(),
        timeout: config.timeout(),
        detector,
    })
}

fn beats(config: &Config) -> Detector {
    Detector::Beats { fan_out: config.fan_out() as u32, swap: config.swap() }
}

/// The least timeout or fan-out with which it holds, if need be with beats.
fn fix(watch: &Watch, config: &Config) -> String {
    let holds = |watch: &Watch| watch.false_removals_per_hour() < PER_HOUR;
    let Detector::Beats { fan_out, swap } = watch.detector else {
        let beats = Watch { detector: beats(config), ..*watch };
        let more = if holds(&beats) { String::new() } else { format!("; {}", fix(&beats, config)) };
        return format!("beats bear more loss: `liveness = \"beats\"`{more}");
    };
    let timeout = (1..=CYCLES_MAX)
        .map(|cycles| watch.cycle * cycles)
        .find(|&timeout| timeout > watch.timeout && holds(&Watch { timeout, ..*watch }));
    let fan_out = (fan_out + 1..=FAN_OUT_MAX)
        .find(|&fan_out| holds(&Watch { detector: Detector::Beats { fan_out, swap }, ..*watch }));
    let timeout =
        timeout.map(|timeout: Duration| format!("`timeout = \"{}\"`", show_duration(timeout)));
    let fan_out = fan_out.map(|fan_out| format!("`fan_out = {fan_out}`"));
    match (timeout, fan_out) {
        (Some(timeout), Some(fan_out)) => format!("{timeout} would hold, or {fan_out}"),
        (Some(one), None) | (None, Some(one)) => format!("{one} would hold"),
        (None, None) => "no timeout holds at such a loss".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use rayon::prelude::*;

    use super::*;
    use crate::scenario;
    use crate::world::{self, Options};

    fn scenario(nodes: u32, minutes: u64, engine: &str, loss: &str) -> Scenario {
        let text = format!(
            "name = 'a'\nnodes = {nodes}\nduration = '{minutes}m'\nbootstrap = 'full'\n[engine]\n\
             {engine}\n[network]\nlatency = '1ms..10ms'\nloss = '{loss}'\n"
        );
        scenario::parse("a.toml", &text, &[]).unwrap()
    }

    #[test]
    fn a_line_says_what_why_and_the_fix() {
        let told =
            warning(&scenario(50, 1, "liveness = 'beats'\nfan_out = 1\ntimeout = '3s'", "20%"))
                .unwrap();
        let want = "warning: a: `fan_out = 1` and `timeout = \"3s\"` can't hold at 20 % loss: \
                    theory expects 4 false removals an hour among 50 nodes; `timeout = \"4s\"` \
                    would hold, or `fan_out = 2`\n";
        assert_eq!(told, want);
        let probes = warning(&scenario(50, 1, "liveness = 'probes'", "60%")).unwrap();
        assert!(
            probes.contains("`liveness = \"probes\"` and") && probes.contains("beats bear more")
        );
        let with_beats =
            "`liveness = \"beats\"`; `timeout = \"9s\"` would hold, or `fan_out = 6`\n";
        assert!(probes.ends_with(with_beats), "beats alone would not hold: {probes}");
        let hopeless =
            warning(&scenario(50, 1, "liveness = 'beats'\nfan_out = 8\ntimeout = '3s'", "90%"))
                .unwrap();
        assert!(hopeless.contains("would hold\n"), "{hopeless}");
        for engine in ["protocol = 'tcp'", "liveness = 'off'"] {
            let engine = format!("fan_out = 1\ntimeout = '3s'\n{engine}");
            assert_eq!(warning(&scenario(50, 1, &engine, "20%")), None, "{engine}");
        }
    }

    #[test]
    fn what_is_proposed_holds_by_the_same_theory() {
        for (engine, fixed) in [
            ("fan_out = 1\ntimeout = '3s'", "fan_out = 1\ntimeout = '4s'"),
            ("fan_out = 1\ntimeout = '3s'", "fan_out = 2\ntimeout = '3s'"),
        ] {
            let beats = |settings| format!("liveness = 'beats'\n{settings}");
            let (engine, fixed) = (&beats(engine), &beats(fixed));
            assert!(!holds(&scenario(50, 1, engine, "20%")), "{engine}");
            assert!(holds(&scenario(50, 1, fixed, "20%")), "{fixed}");
        }
        let beats = |more| format!("liveness = 'beats'\n{more}");
        assert!(!holds(&scenario(50, 1, &beats(""), "60%")));
        for more in ["timeout = '9s'", "fan_out = 6"] {
            assert!(holds(&scenario(50, 1, &beats(more), "60%")), "{more}");
        }
    }

    #[test]
    fn no_default_and_no_shipped_scenario_is_warned_of() {
        for nodes in [2, 10, 50, 200, 2_000] {
            for loss in ["0%", "1%", "10%", "20%"] {
                assert_eq!(warning(&scenario(nodes, 1, "", loss)), None, "{nodes} nodes, {loss}");
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let folders =
            ["", "limits", "large"].map(|folder| fs::read_dir(root.join(folder)).unwrap());
        let files = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|it| it == "toml"));
        for file in files {
            assert_eq!(warning(&scenario::load(&file, &[]).unwrap()), None, "{}", file.display());
        }
    }

    /// Live nodes that were removed.
    fn simulated(scenario: &Scenario) -> u64 {
        let plan = scenario.plan(1).unwrap();
        world::run(&plan, &Options::default(), &mut |_| {}).summary.removals.wrong
    }

    #[test]
    fn what_is_warned_of_loses_live_nodes_in_a_simulation_and_the_rest_of_a_sweep_does_not() {
        let beats = |fan_out: u32, timeout: &str| {
            format!("liveness = 'beats'\nfan_out = {fan_out}\ntimeout = '{timeout}'")
        };
        let probes = || "liveness = 'probes'".to_owned();
        let sweep = [
            (beats(1, "2100ms"), "30%"),
            (beats(1, "3s"), "40%"),
            (beats(2, "2100ms"), "40%"),
            (beats(3, "5s"), "60%"),
            (probes(), "60%"),
            (beats(1, "5s"), "10%"),
            (beats(2, "3s"), "10%"),
            (beats(3, "3s"), "20%"),
            (beats(3, "5s"), "30%"),
            (probes(), "10%"),
            (probes(), "40%"),
        ];
        let judged: Vec<_> = sweep
            .par_iter()
            .map(|(engine, loss)| {
                let scenario = scenario(30, 3, engine, loss);
                (holds(&scenario), simulated(&scenario), engine, loss)
            })
            .collect();
        for &(holds, removed, engine, loss) in &judged {
            assert_eq!(holds, removed == 0, "{engine} at {loss}: {removed} were removed");
        }
        assert_eq!(judged.iter().filter(|it| !it.0).count(), 5, "both are in the sweep");
    }
}
