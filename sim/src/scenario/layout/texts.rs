//! The line that tells a person what an action did, with the nodes that were drawn.

use rumormill::Node;
use rumormill::units::show_duration;

use crate::scenario::language::actions::{Act, Address, At, Blow, Restart, Return, Update};
use crate::scenario::language::groups::Groups;
use crate::scenario::plan::{
    Action, ClockChange, Content, Deed, Ends, Heal, Incarnation, Injection, Links, Manner, Memory,
    NodeNo, Speaker, WayIn,
};
use crate::scenario::units::{show_drift, show_signed_time};

/// Characters of published data that are shown.
const DATA_SHOWN_MAX: usize = 40;

/// The action's line, such as `partition 0..25 | 25..50`.
pub(super) fn action(
    at: &At,
    deed: &Deed,
    incarnations: &[Incarnation],
    groups: &Groups,
) -> String {
    let set = |nodes: &[NodeNo]| set(nodes, groups);
    let text = match (&at.act, deed) {
        (Act::Strike { blow: Blow::Restart(restart), .. }, Deed::Restart { nodes, .. }) => {
            format!("restart {} ({})", set(nodes), returning(restart))
        }
        (Act::Join { over, .. }, Deed::Join(range)) => {
            let newcomers = &incarnations[range.clone()];
            let over = match over.is_zero() {
                true => String::new(),
                false => format!(" over {}", show_duration(*over)),
            };
            format!("join {}{over}", join(newcomers, groups))
        }
        (Act::Link { change, verb, .. }, deed) => match deed {
            // `loss 20%`, but `link 0..25 <-> 25..50: loss 20%`.
            Deed::Link { links, .. } => {
                let arrow = if matches!(links, Links::OneWay { .. }) { " -> " } else { " <-> " };
                let ends: Vec<String> = links.sets().into_iter().map(set).collect();
                format!("link {}: {}", ends.join(arrow), change.text())
            }
            _ => format!("{verb} {}", change.text().trim_start_matches(verb).trim_start()),
        },
        (act, Deed::Crash(nodes) | Deed::Leave(nodes) | Deed::Restart { nodes, .. }) => {
            format!("{} {}", act.verb(), set(nodes))
        }
        (act, Deed::Stop(nodes) | Deed::Start(nodes) | Deed::Isolate(nodes)) => {
            format!("{} {}", act.verb(), set(nodes))
        }
        (_, Deed::Pause(nodes)) => format!("pause {}", set(nodes)),
        (_, Deed::Suspend(nodes)) => format!("suspend {}", set(nodes)),
        (Act::Strike { blow: Blow::Starve(delay), .. }, Deed::Starve { nodes, .. }) => {
            format!("starve {} by {delay}", set(nodes))
        }
        (Act::Strike { blow: Blow::Slow(cpu), .. }, Deed::Slow { nodes, .. }) => {
            format!("slow {} to {cpu} of a processor", set(nodes))
        }
        (Act::Strike { blow: Blow::Update(update), .. }, Deed::Update(said)) => {
            updated(update, said, &set)
        }
        (_, Deed::Drop { kind, nth, ends }) => {
            format!("drop {kind} {nth} {}", between(ends, &set))
        }
        (_, Deed::Replay { ends, after, .. }) => {
            format!("replay {} after {}", between(ends, &set), show_duration(*after))
        }
        (_, Deed::Inject(injection)) => injected(injection, &set),
        (_, Deed::Clock { nodes, change }) => clock(&set(nodes), *change),
        (_, Deed::Partition(sides)) => {
            let sides: Vec<String> = sides.iter().map(|side| set(side)).collect();
            format!("partition {}", sides.join(" | "))
        }
        (_, Deed::Heal(Heal::All)) => "heal all".to_owned(),
        (_, Deed::Heal(Heal::Label(label))) => format!("heal {label}"),
        (_, Deed::Publish { .. } | Deed::Write { .. }) => written(deed, &set),
        // No act does anything else.
        (act, _) => act.verb().to_owned(),
    };
    match at.hold {
        Some(hold) => format!("{text} for {}", show_duration(hold)),
        None => text,
    }
}

/// The line of what ends by itself.
pub(super) fn undo(action: &Action, groups: &Groups) -> String {
    let set = |nodes: &[NodeNo]| set(nodes, groups);
    match &action.deed {
        Deed::Start(nodes) => format!("start {}", set(nodes)),
        Deed::Resume(nodes) => format!("resume {}", set(nodes)),
        Deed::Relieve { nodes, .. } => format!("relieve {}", set(nodes)),
        Deed::Clock { nodes, change } => clock(&set(nodes), *change),
        _ => format!("heal {}", action.label),
    }
}

/// How nodes go down and come back.
fn returning(restart: &Restart) -> String {
    let manner = if restart.manner == Manner::Crash { "crash" } else { "leave" };
    let Return { down, address, memory, stale_seeds, wire_max, .. } = &restart.how;
    let down = show_duration(*down);
    let moved = match address {
        Address::Same => "",
        Address::New => ", new address",
        Address::Former => ", former address",
    };
    let forgets = match memory {
        Memory::Keeps => "",
        Memory::KeepsAll => ", all kept",
        Memory::Forgets => ", generation forgotten",
    };
    let stale = stale_seeds.map(|long| format!(", seeds stale for {}", show_duration(long)));
    let stale = stale.unwrap_or_default();
    let wire = wire_max.map(|wire| format!(", speaking up to wire {wire}")).unwrap_or_default();
    format!("{manner}, down {down}{moved}{forgets}{stale}{wire}")
}

/// What is published, put or deleted.
fn written(deed: &Deed, set: &dyn Fn(&[NodeNo]) -> String) -> String {
    match deed {
        Deed::Publish { node, data } => {
            format!("publish at {}: {}", set(&[*node]), payload(data))
        }
        Deed::Write { node, key, put: Some((data, _)) } => {
            format!("put {key} at {}: {}", set(&[*node]), payload(data))
        }
        Deed::Write { node, key, put: None } => format!("delete {key} at {}", set(&[*node])),
        other => other.kind().to_owned(),
    }
}

fn updated(update: &Update, said: &[(NodeNo, Node)], set: &dyn Fn(&[NodeNo]) -> String) -> String {
    let nodes: Vec<NodeNo> = said.iter().map(|&(node, _)| node).collect();
    let quoted = |key, text: &Option<String>| text.as_ref().map(|text| format!("{key} {text:?}"));
    let tags = update.tags.as_ref().map(|tags| format!("tags \"{tags}\""));
    let changes =
        [quoted("name", &update.name), quoted("private data", &update.private_data), tags];
    let changes: Vec<String> = changes.into_iter().flatten().collect();
    format!("update {}: {}", set(&nodes), changes.join(", "))
}

fn between(ends: &Ends, set: &dyn Fn(&[NodeNo]) -> String) -> String {
    let show = |nodes: &Option<Vec<NodeNo>>| nodes.as_deref().map_or("all".to_owned(), set);
    format!("{} -> {}", show(&ends.from), show(&ends.to))
}

fn injected(injection: &Injection, set: &dyn Fn(&[NodeNo]) -> String) -> String {
    let who = |speaker: Speaker| match speaker {
        Speaker::Node(node) => node.to_string(),
        Speaker::Stranger(addr) => addr.to_string(),
    };
    let what = match &injection.content {
        Content::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Content::Of { lie, of, claim } => {
            let claim = claim.name().map(|claim| format!(", generation {claim}"));
            format!("{} of {}{}", lie.name(), who(*of), claim.unwrap_or_default())
        }
    };
    format!("inject {what}, from {} to {}", who(injection.from), set(&injection.to))
}

fn clock(nodes: &str, change: ClockChange) -> String {
    let what = match change {
        ClockChange::Offset { nanos } => format!("offset {}", show_signed_time(nanos)),
        ClockChange::Jump { nanos } => format!("jump {}", show_signed_time(nanos)),
        ClockChange::Drift { ppb } => format!("drift {}", show_drift(ppb)),
        ClockChange::Unjump { nanos } => format!("jump by {} undone", show_signed_time(nanos)),
        ClockChange::OwnOffset => "set right".to_owned(),
        ClockChange::OwnDrift => "no drift".to_owned(),
    };
    format!("clock {nodes}: {what}")
}

fn set(nodes: &[NodeNo], groups: &Groups) -> String {
    if nodes.is_empty() { "nobody".to_owned() } else { groups.show(nodes) }
}

fn join(newcomers: &[Incarnation], groups: &Groups) -> String {
    let set = |nodes: &[NodeNo]| set(nodes, groups);
    let nodes: Vec<NodeNo> = newcomers.iter().map(|newcomer| newcomer.node).collect();
    match newcomers.first().map(|newcomer| &newcomer.way_in) {
        Some(WayIn::Seeds(seeds)) => format!("{} via {}", set(&nodes), set(seeds)),
        Some(WayIn::Full | WayIn::Knows(_)) | None => set(&nodes),
    }
}

fn payload(data: &[u8]) -> String {
    match std::str::from_utf8(data) {
        Ok(text) if text.chars().count() <= DATA_SHOWN_MAX && !text.contains(char::is_control) => {
            format!("{text:?}")
        }
        _ => format!("{} bytes", data.len()),
    }
}
