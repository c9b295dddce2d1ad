//! Courses of rivals against what can be counted by hand, and against the textbook's epidemics.

use rumormill::rng::Probability;

use super::*;
use crate::model::outbreak::Outbreak;
use crate::model::{Cause, Epidemic, ModelSpread, Rule, Stop, theory};
use crate::rivals::MEMBERLIST;
use crate::scenario;
use crate::scenario::plan::Plan;

fn plan(nodes: u32, network: &str, actions: &str, seed: u64) -> Plan {
    let text = format!(
        "name = 'a'\nnodes = {nodes}\nduration = '10s'\nbootstrap = 'full'\n[network]\n{network}\n\
         [[at]]\ntime = '1s'\npublish = {{ node = 0, data = 'v1' }}\n{actions}"
    );
    scenario::parse("a.toml", &text, &[]).unwrap().plan(seed).unwrap()
}

fn course(plan: &Plan, rival: Rival) -> Course {
    Course::of(&Setting::of(plan).unwrap(), rival)
}

fn coverage(course: &Course) -> f64 {
    course.steps.last().unwrap().1
}

#[test]
fn who_tells_all_others_once_reaches_them_in_one_delay() {
    let plan = plan(20, "latency = '7ms'", "", 1);
    let course = course(&plan, Rival::PushOnce { fan_out: 19 });
    assert_eq!(course.steps[0], (0.0, 0.05));
    assert!(course.steps[1..].iter().all(|&(at, _)| at == 7.0));
    assert_eq!((coverage(&course), course.messages), (1.0, 20 * 19));
    assert_eq!(course.node_messages_max, 19);
}

/// Where every packet takes the same time, hops are rounds.
#[test]
fn telling_once_is_the_textbooks_epidemic_when_all_delays_are_one() {
    const RUNS: u64 = 300;
    let stop = Stop::After(Cause::Blind, Rule::Counter, 3);
    let epidemic = Epidemic::new(ModelSpread::Push, stop, 100, 3, Probability::ZERO).unwrap();
    let (mut rounds, mut hops) = ([0.0; 8], [0.0; 8]);
    for run in 0..RUNS {
        let outbreak = Outbreak::nth(&epidemic, 1, run, &mut |_| {});
        let plan = plan(100, "latency = '10ms'", "", run);
        let course = course(&plan, Rival::PushOnce { fan_out: 3 });
        for round in 0..8 {
            rounds[round] += outbreak.coverage(round as u32) / RUNS as f64;
            let mut by_then = course.steps.iter().filter(|&&(at, _)| at <= round as f64 * 10.0);
            hops[round] += by_then.next_back().unwrap().1 / RUNS as f64;
        }
    }
    for (round, hop) in rounds.iter().zip(&hops) {
        // Two means over 300 runs of a share that varies by some percent.
        assert!((round - hop).abs() < 0.02, "{rounds:?} against {hops:?}");
    }
}

#[test]
fn telling_once_leaves_out_what_the_law_says_at_any_delay_and_loss() {
    let runs = 20;
    let residue: f64 = (1..=runs)
        .map(|seed| {
            let plan = plan(1_000, "latency = '1ms..10ms'\nloss = '20%'", "", seed);
            1.0 - coverage(&course(&plan, Rival::PushOnce { fan_out: 4 }))
        })
        .sum();
    let law = theory::residue_of_tellings(4.0 * 0.8);
    assert!((residue / runs as f64 - law).abs() < 0.01, "{residue} / {runs}, law {law}");
}

#[test]
fn memberlists_rule_sends_its_limit_and_takes_its_intervals() {
    let plan = plan(100, "latency = '1ms..10ms'", "", 3);
    let course = course(&plan, MEMBERLIST);
    // ceil(log10(101)) is 3, times 4.
    assert_eq!((course.messages, course.node_messages_max), (100 * 12, 12));
    assert_eq!(coverage(&course), 1.0);
    let (last, _) = *course.steps.last().unwrap();
    assert!((300.0..1_500.0).contains(&last), "{last} ms");
    assert!(course.steps[1].0 > 1.0, "nobody hears before the source's first interval is over");
}

#[test]
fn a_limit_that_fills_no_interval_is_kept_to_the_packet() {
    let plan = plan(9, "latency = '1ms'", "", 1);
    let rule = "periodic:3,50ms,5".parse().unwrap();
    assert_eq!(course(&plan, rule).messages, 9 * 5);
}

#[test]
fn nobody_hears_across_a_cut_until_it_heals() {
    let cut = "[[at]]\ntime = '500ms'\npartition = [['0..10'], ['10..20']]\nlabel = 'cut'\n";
    let lasting = course(&plan(20, "latency = '1ms'", cut, 1), MEMBERLIST);
    assert_eq!(coverage(&lasting), 0.5);
    let heal = format!("{cut}[[at]]\ntime = '1050ms'\nheal = 'cut'\n");
    let healed = course(&plan(20, "latency = '1ms'", &heal, 1), MEMBERLIST);
    assert_eq!(coverage(&healed), 1.0);
    assert!(healed.steps[10..].iter().all(|&(at, _)| at > 50.0), "{:?}", healed.steps);
}

#[test]
fn the_crashed_neither_tell_nor_count() {
    let crash = "[[at]]\ntime = '500ms'\ncrash = '1..20'\n";
    let course = course(&plan(20, "latency = '1ms'", crash, 1), Rival::PushOnce { fan_out: 19 });
    assert_eq!(course.steps, [(0.0, 1.0)]);
    assert_eq!(course.messages, 19, "the source doesn't know");
}

#[test]
fn a_course_follows_from_the_seed() {
    let of = |seed| course(&plan(50, "latency = '1ms..10ms'\nloss = '5%'", "", seed), MEMBERLIST);
    assert_eq!(of(4), of(4));
    assert_ne!(of(4), of(5));
}
