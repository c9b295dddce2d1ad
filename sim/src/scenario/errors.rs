//! Errors in a scenario, told with the place and the fix.

use std::fmt;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use rumormill::text::Printable;
use rumormill::units::nearest;

use super::document::{Origin, Place, Sources};

/// Something in a scenario that can't be, at the place where it was typed.
///
/// The inside of the language passes these around; [`ScenarioError`] adds the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) at: Place,
    pub(super) text: String,
}

impl Mistake {
    pub(super) fn new(at: Place, text: impl Into<String>) -> Self {
        Self { at, text: text.into() }
    }

    /// The mistake of a name that is none of `names`.
    pub(super) fn unknown<'a>(
        at: Place,
        kind: &str,
        typed: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        let hint = match nearest(typed, names.iter().copied()) {
            Some(near) => did_you_mean(near),
            None if names.is_empty() => format!(": there is no {kind} here"),
            None => format!(": it must be one of {}", names.join(", ")),
        };
        Self::new(at, format!("unknown {kind} `{typed}`{hint}"))
    }
}

/// The tail of a sentence about a name that does not exist.
pub(super) fn did_you_mean(near: &str) -> String {
    format!(", did you mean `{near}`?")
}

/// A scenario has no place for a secret. Whoever types one there has copied the settings of a
/// service, and the line is not repeated where others may read it.
fn may_hold_a_secret(line: &str) -> bool {
    line.contains("secret")
}

/// The mistakes of a scenario, as they are found.
///
/// A reader notes what is wrong and goes on with the next, so that all of a file is told at once.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn note(&mut self, mistake: Mistake) {
        self.0.push(mistake);
    }

    /// What was read; a mistake is noted.
    pub(super) fn keep<T>(&mut self, read: Result<T, Mistake>) -> Option<T> {
        read.map_err(|mistake| self.note(mistake)).ok()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn extend(&mut self, others: impl IntoIterator<Item = Mistake>) {
        self.0.extend(others);
    }

    /// In the order in which they were typed, each once.
    fn in_order(mut self) -> Vec<Mistake> {
        self.0.sort_by_key(|mistake| mistake.at);
        self.0.dedup();
        self.0
    }
}

impl IntoIterator for Mistakes {
    type Item = Mistake;
    type IntoIter = std::vec::IntoIter<Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }
}

/// Mistakes that are told of one scenario; of more there is only the number.
const TOLD_MAX: usize = 20;

/// Why a scenario can't be run: everything that is wrong with it, in order.
///
/// [`Display`](fmt::Display) writes `FILE:LINE:COLUMN: what and the fix` for each, then the line
/// with a caret, without colours; [`ScenarioError::render`] can colour it. A line with a secret is
/// not written.
#[derive(Clone, Debug)]
pub struct ScenarioError {
    /// At least one.
    told: Vec<ToldMistake>,
    /// How many more there are.
    more: usize,
    blame: Blame,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
struct ToldMistake {
    headline: String,
    snippet: Option<(Arc<Sources>, Place)>,
}

/// Who has to act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The author of the scenario or of the command.
    Scenario,
    /// Whoever keeps the machine: its disk or its rights.
    Machine,
}

/// Whether an error is written with colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Text only, for files and pipes.
    Plain,
    /// With the escape codes of a terminal.
    Coloured,
}

impl ScenarioError {
    /// An error about a file as a whole.
    pub(super) fn file(name: &str, blame: Blame, text: &str) -> Self {
        Self { told: vec![ToldMistake::new(format_args!("{name}: {text}"), None)], more: 0, blame }
    }

    /// An error that no file has: the command is wrong.
    pub(super) fn command(text: impl fmt::Display) -> Self {
        Self { told: vec![ToldMistake::new(text, None)], more: 0, blame: Blame::Scenario }
    }

    /// At least one mistake must have been found.
    pub(super) fn of(mistakes: Mistakes, sources: &Arc<Sources>) -> Self {
        assert!(!mistakes.is_empty(), "who reports an error has found one");
        let mistakes = mistakes.in_order();
        let told = mistakes.iter().take(TOLD_MAX).map(|mistake| ToldMistake::of(mistake, sources));
        let more = mistakes.len().saturating_sub(TOLD_MAX);
        Self { told: told.collect(), more, blame: Blame::Scenario }
    }

    /// What and where of the first, on one line.
    pub fn headline(&self) -> &str {
        &self.told[0].headline
    }

    /// Who has to act.
    pub fn blame(&self) -> Blame {
        self.blame
    }

    /// The headlines, each with the line it is about and a caret.
    pub fn render(&self, paint: Paint) -> String {
        let mut texts: Vec<String> = self.told.iter().map(|told| told.render(paint)).collect();
        if self.more > 0 {
            let noun = if self.more == 1 { "mistake" } else { "mistakes" };
            texts.push(format!("and {} more {noun}", self.more));
        }
        texts.join("\n")
    }
}

impl ToldMistake {
    /// What was typed stands in every headline, and must not write more than that.
    fn new(headline: impl fmt::Display, snippet: Option<(Arc<Sources>, Place)>) -> Self {
        Self { headline: Printable(headline).to_string(), snippet }
    }

    fn of(mistake: &Mistake, sources: &Arc<Sources>) -> Self {
        let place = mistake.at;
        let source = sources.source(place);
        let (_, line, _) = source.visible(place);
        let hides = may_hold_a_secret(&line);
        let headline = match &source.origin {
            Origin::File(name) => {
                let (line, column) = source.line_and_column(place.start);
                format!("{name}:{line}:{column}: {}", mistake.text)
            }
            Origin::Option(option) if hides => format!("{option}: {}", mistake.text),
            Origin::Option(option) => format!("{option} {}: {}", source.text, mistake.text),
        };
        let snippet = (!hides).then(|| (Arc::clone(sources), place));
        Self::new(headline, snippet)
    }

    fn render(&self, paint: Paint) -> String {
        let Some((sources, place)) = &self.snippet else { return self.headline.clone() };
        let renderer = match paint {
            Paint::Plain => Renderer::plain(),
            Paint::Coloured => Renderer::styled(),
        };
        let (number, line, marked) = sources.source(*place).visible(*place);
        let mark = AnnotationKind::Primary.span(marked);
        let snippet = Snippet::source(line).line_start(number).annotation(mark);
        let group = Group::with_level(Level::ERROR).element(snippet);
        format!("{}\n{}", self.headline, renderer.render(&[group]))
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Paint::Plain))
    }
}

impl std::error::Error for ScenarioError {}
