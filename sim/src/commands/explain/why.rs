//! Why a node heard of a rumor when it did, or never: its line of tellers, and with a trace what
//! became of every packet that could have told it sooner.

use serde::Serialize;

use super::log::{self, Logs};
use super::path::{PathPart, cause, path, verdict};
use super::receipts::{Receipt, ReceiptFigures, ReceiptSpread, ReceiptsRun, ns};
use super::{SCHEMA, head, way};
use crate::commands::Failure;
use crate::commands::traces::how_to_make_one;
use crate::observe::trace::line::{Event, Filter, Line, Packet};
use crate::report::files::TRACE;
use crate::report::human;
use crate::scenario::plan::NodeNo;

/// Events in between that are shown.
const EVENTS_MAX: usize = 60;
/// Tellers that are shown: a rumor takes a few hops, or a few dozen in a bad network.
const TELLERS_MAX: usize = 200;
/// Actions before the rumor that are shown.
const SCENE_ACTIONS: usize = 3;

/// One node's part in a rumor.
#[derive(Serialize)]
pub(super) struct ToldReason {
    schema: &'static str,
    scenario: String,
    seed: String,
    rumor: ReceiptFigures,
    node: NodeNo,
    /// From the source to the node.
    chain: Vec<Receipt>,
    /// Where the time went; empty for the source and for who never held it.
    parts: Vec<PathPart>,
    cause: Option<PathPart>,
    /// What a trace says; null without one.
    reasons: Option<Vec<String>>,
    #[serde(skip)]
    text: String,
}

/// Finds out one node's part in a rumor.
pub(super) fn tell(
    run: &ReceiptsRun,
    spread: &ReceiptSpread,
    node: NodeNo,
) -> Result<ToldReason, Failure> {
    let chain: Vec<Receipt> = tellers(spread, node).into_iter().cloned().collect();
    let is_traced = run.folder.join(TRACE).is_file();
    if !is_traced && chain.is_empty() && node >= run.nodes_ever() {
        return Err(run.no_such_node(node, run.nodes_ever()));
    }
    let mut logs = Logs::new(&[&spread.figures.id], node);
    let mut story = None;
    if is_traced {
        let mut trace = log::open(run, node)?;
        let story = story.insert(Story::new(trace.head.filter.clone(), spread, node));
        while let Some(line) = trace.line()? {
            logs.note(&line);
            story.note(&line, &spread.figures.id);
        }
    }
    let parts = path(spread, &logs, node);
    let mut text = head(run, spread) + &when(spread, node) + "\n" + &line(&chain);
    text += &spent(spread, &parts);
    text += &story.as_ref().map_or_else(|| hint(run), Story::text);
    let reasons = story.map(|story| story.reasons(spread));
    text += &so(&parts, reasons.as_deref().unwrap_or_default());
    Ok(ToldReason {
        schema: SCHEMA,
        scenario: run.scenario.clone(),
        seed: run.seed.clone(),
        rumor: spread.figures.clone(),
        node,
        cause: cause(&parts).cloned(),
        chain,
        parts,
        reasons,
        text,
    })
}

impl ToldReason {
    /// For a person.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

fn line(chain: &[Receipt]) -> String {
    if chain.len() < 2 {
        return String::new();
    }
    let steps: String = chain.iter().map(|receipt| format!("  {}\n", step(receipt))).collect();
    format!("\nhow it came there\n{steps}")
}

/// Where the time went, a line for each part.
fn spent(spread: &ReceiptSpread, parts: &[PathPart]) -> String {
    let mut out = String::new();
    if !parts.is_empty() {
        out += "\nwhere the time went\n";
    }
    for part in parts {
        let since = human::span(part.from_ms - spread.figures.start_ms);
        let took = human::span(part.to_ms - part.from_ms);
        let share = human::percent(part.share);
        out += &format!("  {since:>9}  +{took:<9} {share:>7}  {}\n", part.what.text());
    }
    out
}

/// What it comes to.
fn so(parts: &[PathPart], reasons: &[String]) -> String {
    let mut out = "\nso\n".to_owned();
    if !parts.is_empty() {
        out += &format!("  - {}\n", verdict(parts));
    }
    reasons.iter().for_each(|reason| out += &format!("  - {reason}\n"));
    if parts.is_empty() && reasons.is_empty() {
        return String::new();
    }
    out
}

pub(super) fn hint(run: &ReceiptsRun) -> String {
    format!(
        "\nwhat became of other packets to it is not known without a trace, which this makes:\n  \
         {}\n",
        how_to_make_one(&run.folder)
    )
}

/// When it heard, and how that compares.
fn when(spread: &ReceiptSpread, node: NodeNo) -> String {
    let Some(place) = spread.receipts.iter().position(|receipt| receipt.node == node) else {
        return format!("node {node} never held it");
    };
    let receipt = &spread.receipts[place];
    let after = human::span(receipt.first_ms - spread.figures.start_ms);
    let rank = format!("number {} of {}", place + 1, spread.receipts.len());
    match receipt.from {
        None => format!("node {node} needed nobody to tell it ({rank}, after {after})"),
        Some(from) => format!(
            "node {node} heard of it after {after}, as {rank}, at hop {}, from node {from} by {}",
            receipt.hop, receipt.via
        ),
    }
}

/// From the source to the node, each told by the one before.
fn tellers(spread: &ReceiptSpread, node: NodeNo) -> Vec<&Receipt> {
    let mut line: Vec<&Receipt> = Vec::new();
    let mut next = Some(node);
    while let Some(receipt) = next.and_then(|node| spread.of(node)) {
        // Whoever told held it before, so that nobody appears twice; in a damaged table two might
        // have it from each other, or all nodes stand in one line.
        let twice = line.iter().any(|other| other.node == receipt.node);
        if twice || line.len() == TELLERS_MAX {
            break;
        }
        line.push(receipt);
        next = receipt.from;
    }
    line.reverse();
    line
}

fn step(receipt: &Receipt) -> String {
    let at = human::moment(receipt.first_ms);
    format!("{at:>12}  node {:<5} {}", receipt.node, way(receipt))
}

/// What a trace says about a node between the start of a rumor and its first receipt, or the end.
struct Story {
    node: NodeNo,
    filter: Filter,
    from_ns: u64,
    to_ns: u64,
    /// `(ns, what)`, in order.
    events: Vec<(u64, String)>,
    left_out: u64,
    tally: WhyTally,
    /// Whether the node ran at the start of the rumor.
    was_up: bool,
}

/// What became of packets to the node that carry the rumor, before it heard.
#[derive(Default)]
struct WhyTally {
    sent: u64,
    lost: u64,
    cut: u64,
    to_dead: u64,
    other: u64,
    down: bool,
    silent: bool,
}

impl Story {
    fn new(filter: Filter, spread: &ReceiptSpread, node: NodeNo) -> Self {
        Self {
            node,
            filter,
            from_ns: ns(spread.figures.start_ms),
            to_ns: spread.of(node).map_or(u64::MAX, |receipt| ns(receipt.first_ms)),
            events: Vec::new(),
            left_out: 0,
            tally: WhyTally::default(),
            was_up: false,
        }
    }

    fn note(&mut self, line: &Line, rumor: &str) {
        match line.t_ns {
            t_ns if t_ns > self.to_ns => {}
            t_ns if t_ns < self.from_ns => self.before(line),
            _ => self.during(line, rumor),
        }
    }

    fn before(&mut self, line: &Line) {
        match &line.event {
            // The scene at the start: what was done last, and may be at work still.
            Event::Action { .. } => {
                self.events.push((line.t_ns, format!("before it, {}", line.event)));
                let surplus = self.events.len().saturating_sub(SCENE_ACTIONS);
                self.events.drain(..surplus);
            }
            Event::Up { node, .. } | Event::Start { node } if *node == self.node => {
                (self.was_up, self.tally.silent) = (true, false);
            }
            Event::Down { node, .. } if *node == self.node => self.was_up = false,
            Event::Stop { node } | Event::Pause { node } if *node == self.node => {
                self.tally.silent = true;
            }
            _ => {}
        }
    }

    fn during(&mut self, line: &Line, rumor: &str) {
        let mine = |node: &NodeNo| *node == self.node;
        let to_me = |packet: &Packet| {
            packet.to == Some(self.node) && packet.rumors.iter().any(|other| other == rumor)
        };
        match &line.event {
            Event::Action { .. } => {}
            Event::Down { node, .. } if mine(node) => self.tally.down = true,
            Event::Stop { node } | Event::Pause { node } if mine(node) => self.tally.silent = true,
            Event::Up { node, .. } | Event::Start { node } | Event::Resume { node }
                if mine(node) => {}
            Event::Send { packet, .. } if to_me(packet) => {
                self.tally.sent += 1;
                return;
            }
            Event::Drop { packet, cause, .. } if to_me(packet) => match cause.as_ref() {
                "lost" | "corrupted" => self.tally.lost += 1,
                "cut" => self.tally.cut += 1,
                "to_dead" => self.tally.to_dead += 1,
                _ => self.tally.other += 1,
            },
            Event::Deliver { packet, .. } if to_me(packet) => {}
            Event::Learn { node, rumor: other, .. } if mine(node) && other == rumor => {}
            _ => return,
        }
        if self.events.len() < EVENTS_MAX {
            self.events.push((line.t_ns, shown(&line.event, rumor)));
        } else {
            self.left_out += 1;
        }
    }

    fn text(&self) -> String {
        let mut out = "\nwhat befell it meanwhile\n".to_owned();
        for (t_ns, text) in &self.events {
            out += &format!("  {:>12}  {text}\n", human::moment(*t_ns as f64 / 1e6));
        }
        match (self.events.is_empty(), self.left_out) {
            (true, _) => out += "  nothing: no packet with the rumor was sent to it\n",
            (_, 0) => {}
            (_, more) => out += &format!("  … {}\n", human::counted(more, "more event")),
        }
        if !self.filter.is_open() {
            out += "  (the trace was filtered when it was made: there may have been more)\n";
        }
        out
    }

    /// The causes that the trace shows, the gravest first.
    fn reasons(&self, spread: &ReceiptSpread) -> Vec<String> {
        let tally = &self.tally;
        let mut reasons = Vec::new();
        let mut add = |holds: bool, text: String| {
            if holds {
                reasons.push(text);
            }
        };
        let packets = |count: u64| human::counted(count, "packet");
        add(!self.was_up, "it did not run when the rumor started".into());
        add(tally.down, "it went down before it heard".into());
        add(tally.silent, "it was stopped: others take a silent node off their lists".into());
        add(tally.cut > 0, format!("{} to it cut by a fault", packets(tally.cut)));
        add(tally.lost > 0, format!("{} to it lost on the way", packets(tally.lost)));
        add(tally.to_dead > 0, format!("{} went to where it did not run", packets(tally.to_dead)));
        add(tally.other > 0, format!("{} too large or too many for a link", packets(tally.other)));
        let receipt = spread.of(self.node);
        let swapped = receipt.is_some_and(|receipt| receipt.via == "swap");
        add(swapped, "no rumor reached it: a swap found the difference and repaired it".to_owned());
        add(tally.sent == 0 && receipt.is_none(), "nobody ever sent it the rumor".into());
        reasons
    }
}

fn shown(event: &Event, rumor: &str) -> String {
    match event {
        Event::Drop { packet, cause, .. } => {
            format!("{} from node {} never arrives: {cause}", packet.kind, packet.from)
        }
        Event::Deliver { packet, .. } => {
            format!("{} from node {} arrives with {rumor}", packet.kind, packet.from)
        }
        other => other.to_string(),
    }
}
