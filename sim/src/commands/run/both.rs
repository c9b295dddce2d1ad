//! `--net both`: what a scenario shows in virtual time, beside what it shows on real sockets.

use super::{Failure, Format, Job, Net, Outcome, Request};
use crate::reading::shown;
use crate::report::both::{Both, BothRuns, View};
use crate::report::files::{self, StagedFiles};
use crate::report::terminal;

/// Writes the files of each scenario that was run at both places, and says what is printed of it:
/// a table for each, after the page of its real runs.
pub(super) fn write(
    request: &Request,
    stage: &StagedFiles,
    jobs: &[Job],
    outcomes: &[&[Outcome]],
) -> Result<Vec<String>, Failure> {
    if !request.net.is_both() {
        return Ok(Vec::new());
    }
    // Every scenario is run at both places.
    let (pairs, outcomes) = (jobs.as_chunks().0, outcomes.as_chunks().0);
    let tables = pairs.iter().zip(outcomes).map(|([_, real], [of_virtual, of_real])| {
        let folder = stage.scenario_folder(&real.folder)?;
        let summaries = [*of_virtual, *of_real]
            .map(|outcomes| outcomes.iter().map(|it| it.summary.clone()).collect::<Vec<_>>());
        let [one, other] = [(0, of_virtual), (1, of_real)]
            .map(|(place, it)| BothRuns { summaries: &summaries[place], series: &it[0].series });
        let both = Both::new(one, other);
        let view = View::new(one, other, of_virtual[0].fault_windows.clone());
        let picture = request.pictures.wanted().width().map(|width| (&view, width));
        files::write_both(&folder, &both, picture)?;
        let table = match request.format() {
            Format::Table => terminal::both(&both, request.talk.paint),
            Format::Json | Format::Nothing => String::new(),
        };
        let page = if picture.is_some() { "both.png" } else { "both.json" };
        let page = request.out.join(&real.folder).join(page);
        Ok(format!("{table}\nto look at: {}\n", shown(&page)))
    });
    tables.collect()
}

impl Net {
    /// Whether a scenario is run at both places.
    pub(super) fn is_both(self) -> bool {
        match self {
            #[cfg(feature = "testbed")]
            Self::Both => true,
            _ => false,
        }
    }
}
