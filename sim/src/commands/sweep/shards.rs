//! A sweep on many machines: a command for each slice, and the one that joins them.
//!
//! Each line is complete and knows nothing of the others, so that whatever runs lines of a shell
//! runs a sweep: GNU parallel, xargs, a batch service.

use std::num::NonZeroUsize;
use std::path::Path;

use super::{SweepRequest, folder};
use crate::commands::trial::{quoted, quoted_path};
use crate::commands::{Exit, Failure, Report};
use crate::report::files::Pictures;
use crate::report::plots::Width;
use crate::sweep::{Shard, SweepPlan};

/// The commands, a line each; the last joins what the others make.
///
/// # Errors
/// When a slice would have no cell.
pub(super) fn commands(
    request: &SweepRequest,
    plan: &SweepPlan,
    of: NonZeroUsize,
) -> Result<Report, Failure> {
    let cells = plan.cells_len();
    if of.get() > cells {
        return Err(Failure::wrong(format!(
            "--print-shards {of}: there are {cells} cells, and a slice without any joins nothing"
        )));
    }
    let mut out: String = (1..=of.get()).map(|number| slice(request, number, of)).collect();
    out += &merge(request, plan, of);
    Ok(Report { out, err: String::new(), exit: Exit::Held })
}

fn slice(request: &SweepRequest, number: usize, of: NonZeroUsize) -> String {
    let mut line = format!("sim sweep {}", quoted_path(&request.file));
    request.vary.iter().for_each(|axis| line += &format!(" --vary {}", quoted(axis)));
    request.sets.iter().for_each(|set| line += &format!(" --set {}", quoted(set)));
    line += &format!(" --seed {} --seeds {}", request.seed, request.seeds);
    if let Some(threads) = request.threads {
        line += &format!(" --threads {threads}");
    }
    line + &format!(" --shard {number}/{of} --out {} --quiet\n", quoted_path(&request.show.out))
}

fn merge(request: &SweepRequest, plan: &SweepPlan, of: NonZeroUsize) -> String {
    // The number is for the shell to fill in, so it stands outside of any quotes.
    let slices = plan.of_slice(Some(Shard { number: 1, of: of.get() }));
    let first = folder(&request.show.out, &slices);
    let whole = first.parent().unwrap_or(Path::new("."));
    let mut line = format!("sim merge {}/shard-*-of-{of}", quoted_path(whole));
    let measures = &request.show.measures;
    measures.iter().for_each(|measure| line += &format!(" --measure {}", quoted(measure)));
    line += &match request.show.pictures.wanted() {
        Pictures::Skip => " --no-plots".to_owned(),
        Pictures::Draw(Width::NORMAL) => String::new(),
        Pictures::Draw(width) => format!(" --width {width}"),
    };
    line + &format!(" --out {}\n", quoted_path(&request.show.out))
}
