//! An epidemic of the textbook for a person at a terminal: its figures, what theory says of them,
//! and how it spread round by round.

use super::layout::{Align, TerminalPage, Tone};
use crate::model::figures::ModelFigures;
use crate::report::human::{counted, percent, three_digits};
use crate::scenario::Paint;
use crate::stats::{Interval, Mean};

/// Rounds beyond which every so many-th is shown.
const ROUNDS_MAX: usize = 24;
/// Characters of a bar that stands for all nodes.
const BAR: f64 = 50.0;
/// What eight parts of a character look like.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// The page of an epidemic.
pub fn epidemic(figures: &ModelFigures, paint: Paint) -> String {
    let mut page = TerminalPage::new(paint);
    let loss = match figures.loss {
        0.0 => "no loss".to_owned(),
        loss => format!("{} loss", percent(loss)),
    };
    page.title(&format!(
        "{}, {}: {}, fan-out {}, {loss}, {}, seed {}",
        figures.spread,
        figures.stop,
        counted(figures.nodes.into(), "node"),
        figures.fan_out,
        counted(figures.runs, "run"),
        figures.seed
    ));
    means(&mut page, figures);
    laws(&mut page, figures);
    coverage(&mut page, &figures.coverage_by_round);
    page.text()
}

fn means(page: &mut TerminalPage, figures: &ModelFigures) {
    page.section("Figures");
    let columns = [Align::Left, Align::Right, Align::Right, Align::Right, Align::Left];
    let mut table = page.table(columns);
    table.head(["", "mean", "sd", "95 % interval", ""]);
    for (name, mean, meaning) in [
        ("residue", &figures.residue, "share of nodes that never held the rumor"),
        ("traffic", &figures.traffic, "tellings per node"),
        ("t_ave", &figures.t_ave, "round that reached a node, on average"),
        ("t_last", &figures.t_last, "round that reached the last"),
        ("rounds_to_all", &figures.rounds_to_all, "rounds until all held it"),
    ] {
        let [shown, sd, interval] = cells(mean);
        table.row([name.to_owned(), shown, sd, interval, meaning.to_owned()]);
    }
    page.add(&table);
    let (reached, runs) = (figures.reached_all.held as u64, figures.runs);
    let share = percent(reached as f64 / runs as f64);
    page.line(Tone::Plain, &format!("all nodes reached in {share} of {}", counted(runs, "run")));
}

fn cells(mean: &Mean) -> [String; 3] {
    let or_dash = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), digits);
    let interval = match mean.ci95 {
        Some(Interval(Some(low), Some(high))) => format!("{} to {}", digits(low), digits(high)),
        _ => "-".to_owned(),
    };
    [or_dash(mean.mean), or_dash(mean.sd), interval]
}

/// A number to four digits, for what is compared with theory.
fn digits(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if size < 0.001 => format!("{number:.2e}"),
        size if size < 1.0 => format!("{number:.4}"),
        size if size < 1_000.0 => format!("{number:.2}"),
        _ => three_digits(number),
    }
}

fn laws(page: &mut TerminalPage, figures: &ModelFigures) {
    if figures.theory.is_empty() {
        return;
    }
    page.section("Theory");
    let mut table = page.table([Align::Left, Align::Right, Align::Left]);
    for law in &figures.theory {
        table.row([law.figure.to_owned(), digits(law.value), law.law.clone()]);
    }
    page.add(&table);
}

fn coverage(page: &mut TerminalPage, rounds: &[Mean]) {
    page.section("Coverage after each round");
    let mut table = page.table([Align::Right, Align::Right, Align::Left]);
    let every = rounds.len().div_ceil(ROUNDS_MAX).max(1);
    let last = rounds.len() - 1;
    for (round, mean) in rounds.iter().enumerate() {
        if let Some(share) = mean.mean.filter(|_| round % every == 0 || round == last) {
            table.row([round.to_string(), percent(share), bar(share)]);
        }
    }
    page.add(&table);
}

/// A bar as long as a share, to an eighth of a character.
fn bar(share: f64) -> String {
    let eighths = (share * BAR * 8.0).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use rumormill::rng::Probability;

    use super::super::WIDTH;
    use super::*;
    use crate::model::Epidemic;
    use crate::model::figures::ModelTally;
    use crate::model::outbreak::Outbreak;

    fn page(stop: &str, runs: u64) -> String {
        let (spread, stop) = ("push".parse().unwrap(), stop.parse().unwrap());
        let epidemic = Epidemic::new(spread, stop, 100, 1, Probability::ZERO).unwrap();
        let mut tally = ModelTally::default();
        for run in 0..runs {
            tally.add(&Outbreak::nth(&epidemic, 1, run, &mut |_| {}));
        }
        super::epidemic(&tally.figures(&epidemic, 1), Paint::Plain)
    }

    #[test]
    fn the_page_fits_on_a_screen_and_names_what_it_shows() {
        let page = page("blind-coin:2", 50);
        let title = "push, blind-coin:2: 100 nodes, fan-out 1, no loss, 50 runs, seed 1\n";
        assert!(page.starts_with(title), "{page}");
        assert!(page.lines().count() <= 45, "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
        for name in ["residue", "traffic", "t_ave", "t_last", "rounds_to_all", "s = e^-m"] {
            assert!(page.contains(name), "{name}: {page}");
        }
    }

    #[test]
    fn what_is_unknown_is_a_dash() {
        let page = page("feedback-counter:1", 1);
        let row = page.lines().find(|line| line.contains("rounds_to_all")).unwrap();
        assert_eq!(row.matches(" - ").count(), 3, "{page}");
    }

    #[test]
    fn the_last_round_stands_at_the_end_however_many_there_are() {
        let page = page("never", 20);
        assert!(page.lines().last().unwrap().contains("100 %"), "{page}");
        assert!(page.lines().last().unwrap().ends_with(&"█".repeat(50)), "{page}");
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!((bar(0.0), bar(1.0)), (String::new(), "█".repeat(50)));
        assert_eq!(bar(0.1075), "█████▍");
    }

    #[test]
    fn numbers_keep_the_digits_that_theory_needs() {
        let texts = [0.0, 0.000_004, 0.0123, 1.0, 18.04, 12_345.0].map(digits);
        assert_eq!(texts, ["0", "4.00e-6", "0.0123", "1.00", "18.04", "12,345"]);
    }
}
