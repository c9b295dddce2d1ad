//! The lines of a trace, read with no more than its description.

use serde::Deserialize;

/// One line: what it has not is left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Line {
    pub(crate) t_ns: u64,
    pub(crate) event: String,
    pub(crate) scenario: String,
    pub(crate) seed: String,
    pub(crate) text: String,
    pub(crate) node: usize,
    pub(crate) addr: String,
    pub(crate) from: Option<usize>,
    pub(crate) to: Option<usize>,
    pub(crate) kind: String,
    pub(crate) content: String,
    pub(crate) rumors: Vec<String>,
    pub(crate) announces: bool,
    pub(crate) bytes: u64,
    pub(crate) copies: Option<u64>,
    pub(crate) sent_ns: Option<u64>,
    pub(crate) cause: String,
    pub(crate) change: String,
    pub(crate) about: Option<usize>,
    pub(crate) life: usize,
    pub(crate) version: String,
    pub(crate) members: Option<usize>,
    pub(crate) entry: Option<Said>,
    pub(crate) rumor: String,
    pub(crate) hop: u32,
    pub(crate) via: String,
    pub(crate) sides: Vec<Vec<usize>>,
    pub(crate) cut: Vec<(usize, usize)>,
}

/// What a node reads of a key.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Said {
    pub(crate) key: String,
    pub(crate) says: String,
    pub(crate) ttl_ns: Option<u64>,
    pub(crate) bound: bool,
}

/// All lines of a trace.
pub(crate) fn read(text: &str) -> Vec<Line> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    text.lines().map(line).collect()
}
