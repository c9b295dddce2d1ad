//! Several ways to spread a rumor, a row each.

use super::layout::{Align, TerminalPage};
use crate::report::beside::{Beside, BesideWay, SpreadBeside};
use crate::report::human::{counted, percent, span_or, three_digits};
use crate::scenario::Paint;

/// The table of all ways.
pub fn beside(beside: &Beside, paint: Paint) -> String {
    let mut page = TerminalPage::new(paint);
    let seeds = beside.ways.first().map_or(0, |way| way.runs.len()) as u64;
    page.title(&format!(
        "{}: {}, {} from {}",
        beside.scenario,
        counted(beside.nodes.into(), "node"),
        counted(seeds, "seed"),
        beside.seed
    ));
    page.section("How the last publish spread");
    let columns: Vec<Align> = [Align::Left].into_iter().chain([Align::Right; 7]).collect();
    let mut table = page.table(columns);
    table.head(["", "50 %", "99 %", "all", "p95", "reach all", "packets", "+ control"]);
    for way in &beside.ways {
        table.row(row(way));
    }
    page.add(&table);
    page.section("What they do");
    let mut table = page.table([Align::Left, Align::Left]);
    for way in &beside.ways {
        table.row([way.name.clone(), way.about.clone()]);
    }
    page.add(&table);
    page.text()
}

fn row(way: &BesideWay) -> [String; 8] {
    let at = |place: usize, rank: u32| {
        span_or(way.sample(|run| run.reached(place)).percentile(rank), "never")
    };
    let median = |of: fn(&SpreadBeside) -> f64| {
        three_digits(way.sample(|run| Some(of(run))).median().unwrap_or_default())
    };
    let share = way.reached_all();
    [
        way.name.clone(),
        at(50, 50),
        at(99, 50),
        at(100, 50),
        at(100, 95),
        percent(share.held as f64 / share.n.max(1) as f64),
        median(|run| run.messages),
        median(|run| run.control),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::beside::tests;

    #[test]
    fn each_way_has_a_row_and_what_never_came_is_said() {
        let page = beside(&tests::beside(), Paint::Plain);
        assert!(page.starts_with("loss: 50 nodes, 5 seeds from 1\n"), "{page}");
        let row = |name: &str| {
            let line = page.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("arcs"), "arcs 72 ms 147 ms 147 ms 245 ms 100 % 3 1.5");
        assert_eq!(row("push-once"), "push-once 72 ms never never never 0 % 3 0");
    }
}
