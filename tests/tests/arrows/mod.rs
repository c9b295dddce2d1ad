//! Which room of the code may name which: the floors of the house, and no circle between them.
//!
//! A room is a module of a crate's root, or a folder within one that has a row of its own. Its
//! code belongs to the longest row that its path begins with, so that a room of rooms is split by
//! adding rows such as `core/membership`. What is compiled for tests or docs alone is free, and
//! so is the root of a crate, which is the map of it.

pub(super) mod code;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use self::code::Code;
use super::{assert_none, collect, root, shown};

/// A crate: its rooms from the top down, each with those that it may name.
pub(super) struct House {
    pub(super) src: &'static str,
    rows: &'static [(&'static str, &'static str)],
}

pub(super) const ENGINE: House = House {
    src: "engine/src",
    rows: &[
        ("fuzzing", "net wire pekonode core core/packet config node rng time"),
        ("recipes", ""),
        ("node_list", "net state wire pekonode core config node text time"),
        (
            "net",
            "state wire pekonode core core/packet config link metrics node rng allowance time text",
        ),
        ("state", "wire core core/packet node text time"),
        ("wire", "pekonode core core/packet config node allowance time"),
        ("pekonode", "core config node rng time"),
        (
            "core",
            "core/protocol core/engine core/members core/agreement core/footprint core/io \
             core/packet core/entries core/entry core/settings core/record core/metadata core/beat \
             core/stats core/keeping",
        ),
        (
            "core/protocol",
            "core/engine core/footprint core/keeping core/members core/io core/packet core/entries \
             core/entry core/record core/metadata core/stats config node time",
        ),
        (
            "core/engine",
            "core/joining core/anti_entropy core/store core/membership core/detection \
             core/dissemination core/context core/members core/agreement core/footprint \
             core/io core/packet core/keeping core/entries core/record core/metadata core/stats \
             core/timers config node time wire_version",
        ),
        (
            "core/joining",
            "core/membership core/detection core/dissemination core/context core/members \
             core/packer core/packet core/timers time wire_version",
        ),
        (
            "core/anti_entropy",
            "core/membership core/detection core/dissemination core/context core/members \
             core/packer core/packet core/record core/metadata core/beat core/timers \
             core/round config time",
        ),
        (
            "core/store",
            "core/dissemination core/context core/packer core/io core/packet core/entries \
             core/entry core/metadata core/timers node time",
        ),
        (
            "core/membership",
            "core/detection core/dissemination core/context core/members core/io core/packet \
             core/settings core/record core/beat core/timers config node allowance time",
        ),
        (
            "core/detection",
            "core/dissemination core/context core/members core/io core/packet core/timers \
             core/round config node time",
        ),
        (
            "core/dissemination",
            "core/context core/members core/packer core/io core/packet core/entry core/record \
             core/metadata core/beat core/timers config node time",
        ),
        (
            "core/context",
            "core/members core/packer core/agreement core/io core/packet core/entries core/entry \
             core/settings core/record core/metadata core/beat core/stats core/timers core/rtt \
             config node rng time",
        ),
        ("core/members", "core/packet core/record core/beat config node rng time"),
        ("core/packer", "core/packet"),
        ("core/display", "core/agreement core/io core/packet core/entry core/record core/metadata"),
        ("core/agreement", "core/packet wire_version"),
        ("core/event_names", "core/io"),
        ("core/forms", "core/entry core/record core/metadata node wire_version"),
        ("core/keeping", "core/entries core/entry core/record core/metadata node time"),
        ("core/footprint", ""),
        (
            "core/io",
            "core/packet core/entry core/settings core/record core/metadata forms config node",
        ),
        (
            "core/packet",
            "core/entries core/entry core/settings core/record core/metadata core/beat node time \
             config wire_version",
        ),
        ("core/entries", "core/entry core/metadata node time"),
        ("core/record", "core/beat core/entry node wire_version"),
        ("core/entry", "core/metadata node text time"),
        ("core/settings", "core/beat forms config units"),
        ("core/metadata", "forms config node time"),
        ("core/beat", "time"),
        ("core/stats", "metrics"),
        ("core/timers", "time"),
        ("core/rtt", "config"),
        ("core/round", "rng"),
        ("forms", "node units"),
        ("config", "node units text wire_version"),
        ("link", "rng time"),
        ("metrics", "time"),
        ("node", "time text"),
        ("rng", ""),
        ("allowance", "time"),
        ("time", ""),
        ("units", "text"),
        ("text", ""),
        ("wire_version", ""),
        ("planted", ""),
    ],
};

pub(super) const SIM: House = House {
    src: "sim/src",
    rows: &[
        ("fuzzing", "commands report scenario"),
        ("cli", "commands report rivals testbed world results scenario model percent reading"),
        (
            "commands",
            "report sweep explore rivals testbed world observe results scenario protocols measures \
             model stats percent writing reading clock caught",
        ),
        ("report", "sweep rivals world results scenario measures model stats writing reading"),
        ("sweep", "world results scenario measures stats writing reading"),
        ("explore", "world results scenario caught"),
        ("rivals", "world observe scenario"),
        ("testbed", "world observe results scenario clock"),
        ("world", "observe results scenario protocols"),
        ("observe", "results scenario measures reading bits"),
        ("results", "scenario measures stats"),
        ("scenario", "protocols measures percent reading"),
        ("protocols", ""),
        ("measures", "percent"),
        ("model", "stats bits"),
        ("stats", ""),
        ("percent", ""),
        ("writing", ""),
        ("reading", ""),
        ("clock", ""),
        ("caught", ""),
        ("bits", ""),
    ],
};

/// One room names another, at this place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Arrow {
    from: &'static str,
    to: &'static str,
    place: String,
}

impl House {
    fn may_name(&self, room: &str) -> impl Iterator<Item = &'static str> {
        let row = self.rows.iter().find(|(name, _)| *name == room);
        row.map(|(_, named)| *named).unwrap_or_default().split_whitespace()
    }

    /// Its floor, counted from the top.
    fn floor(&self, room: &str) -> Option<usize> {
        self.rows.iter().position(|(name, _)| *name == room)
    }

    /// The room that a path lies in.
    fn room_of(&self, path: &[impl AsRef<str>]) -> Option<&'static str> {
        let begins = |room: &&'static str| {
            let words: Vec<&str> = room.split('/').collect();
            words.len() <= path.len()
                && words.iter().zip(path).all(|(one, two)| *one == two.as_ref())
        };
        self.rows.iter().map(|(name, _)| *name).filter(begins).max_by_key(|name| name.len())
    }

    /// All its files, by name.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        collect(&root().join(self.src), &mut found);
        found.into_iter().map(|(path, text)| (shown(&path), text)).collect()
    }

    /// Those of these files that are not for tests alone, each with its name, module and code.
    pub(super) fn production<'f>(
        &self,
        files: &'f [(String, String)],
    ) -> Vec<(&'f str, Vec<&'f str>, Code)> {
        let read = |(name, text): &'f (String, String)| {
            (name.as_str(), self.module(name), Code::read(text))
        };
        let mut read: Vec<_> = files.iter().map(read).collect();
        let of_tests = read.iter().flat_map(|(_, module, code)| {
            let own =
                |name: &String| module.iter().map(|&word| word.to_owned()).chain([name.clone()]);
            code.test_modules.iter().map(own).map(Iterator::collect).collect::<Vec<_>>()
        });
        let of_tests: Vec<Vec<String>> = of_tests.collect();
        read.retain(|(_, module, _)| {
            let is_in = |test: &Vec<String>| {
                module.len() >= test.len() && test.iter().zip(module).all(|(one, two)| one == two)
            };
            !of_tests.iter().any(is_in)
        });
        read
    }

    /// Its arrows, and what has no room.
    fn arrows(&self, files: &[(String, String)]) -> (Vec<Arrow>, Vec<String>) {
        let read = self.production(files);
        let (mut arrows, mut homeless) = (Vec::new(), Vec::new());
        for (name, module, code) in read.iter().filter(|(_, module, _)| !module.is_empty()) {
            let Some(from) = self.room_of(module) else {
                homeless.push(format!("{name}: a room without a row: {ADD}"));
                continue;
            };
            for (line, path) in code.paths(module).into_iter().filter(|(_, path)| !path.is_empty())
            {
                let place = format!("{name}:{line}");
                match self.room_of(&path) {
                    Some(to) if to == from => {}
                    Some(to) => arrows.push(Arrow { from, to, place }),
                    None => homeless.push(format!(
                        "{place}: `{}` is no room: name the one that has it, not the crate's root, \
                         or {ADD}",
                        path[0]
                    )),
                }
            }
        }
        (arrows, homeless)
    }

    fn module<'n>(&self, name: &'n str) -> Vec<&'n str> {
        let path = name.strip_prefix(self.src).unwrap_or(name).trim_start_matches('/');
        let mut words: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
        if words.last() == Some(&"mod") || words == ["lib"] || words == ["main"] {
            words.pop();
        }
        words
    }

    /// What its arrows break, each with the way to mend it.
    fn broken(&self, arrows: &[Arrow]) -> Vec<String> {
        let is_allowed = |arrow: &&Arrow| self.may_name(arrow.from).any(|room| room == arrow.to);
        let told = |Arrow { from, to, place }: &Arrow| match self.floor(to) < self.floor(from) {
            true => format!(
                "{place}: `{from}` names `{to}`, which is above it: move what it needs to a room \
                 below both, or hand it over as an argument"
            ),
            false => format!(
                "{place}: `{from}` names `{to}`, which its row leaves out: go by the rooms it may \
                 name, or {ADD}"
            ),
        };
        arrows.iter().filter(|arrow| !is_allowed(arrow)).map(told).collect()
    }
}

const ADD: &str = "add it to the table in tests/tests/arrows/mod.rs and say why in the commit";

/// Rooms each of which names the next, and the last of which names the first, if there are any.
fn circle(arrows: &[Arrow]) -> Option<Vec<&Arrow>> {
    let mut named: BTreeMap<&str, BTreeMap<&str, &Arrow>> = BTreeMap::new();
    for arrow in arrows {
        named.entry(arrow.from).or_default().entry(arrow.to).or_insert(arrow);
    }
    let mut done = BTreeSet::new();
    named.keys().find_map(|room| back_to_itself(room, &named, &mut Vec::new(), &mut done))
}

fn back_to_itself<'a>(
    room: &str,
    named: &BTreeMap<&str, BTreeMap<&str, &'a Arrow>>,
    way: &mut Vec<&'a Arrow>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<&'a Arrow>> {
    if let Some(start) = way.iter().position(|arrow| arrow.from == room) {
        return Some(way[start..].to_vec());
    }
    if !done.insert(room.to_owned()) {
        return None;
    }
    for (next, arrow) in named.get(room).into_iter().flatten() {
        way.push(arrow);
        let found = back_to_itself(next, named, way, done);
        way.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}

fn told(circle: &[&Arrow]) -> String {
    let lines = circle
        .iter()
        .map(|arrow| format!("{}: `{}` names `{}`", arrow.place, arrow.from, arrow.to));
    format!(
        "rooms in a circle, of which one must learn less:\n{}",
        lines.collect::<Vec<_>>().join("\n")
    )
}

/// A house with its arrows and with what has no room, as the sources have them.
struct Drawn {
    house: &'static House,
    arrows: Vec<Arrow>,
    homeless: Vec<String>,
}

/// Both crates, read once for all tests.
static DRAWN: LazyLock<[Drawn; 2]> = LazyLock::new(|| {
    [&ENGINE, &SIM].map(|house| {
        let (arrows, homeless) = house.arrows(&house.files());
        Drawn { house, arrows, homeless }
    })
});

#[test]
fn no_room_names_one_above_it_or_one_that_its_row_leaves_out() {
    let mut complaints = Vec::new();
    for Drawn { house, arrows, homeless } in &*DRAWN {
        assert!(arrows.len() > 300, "only {} arrows were found in {}", arrows.len(), house.src);
        complaints.extend(homeless.iter().cloned());
        complaints.extend(house.broken(arrows));
    }
    assert_none(&complaints);
}

#[test]
fn no_rooms_stand_in_a_circle() {
    let circles = DRAWN.iter().filter_map(|drawn| circle(&drawn.arrows));
    assert_none(&circles.map(|circle| told(&circle)).collect::<Vec<_>>());
}

#[test]
fn every_arrow_of_the_table_goes_down_and_is_drawn() {
    let mut complaints = Vec::new();
    for Drawn { house, arrows, .. } in &*DRAWN {
        for &(from, _) in house.rows {
            for to in house.may_name(from) {
                if house.floor(to) <= house.floor(from) {
                    complaints.push(format!("{}: `{to}` is not below `{from}`", house.src));
                }
                if !arrows.iter().any(|arrow| (arrow.from, arrow.to) == (from, to)) {
                    complaints.push(format!("{}: `{from}` no longer names `{to}`", house.src));
                }
            }
        }
    }
    assert_none(&complaints);
}

/// A house of three rooms, one of which is within another.
const HUT: House = House {
    src: "hut/src",
    rows: &[("roof", "hall"), ("hall", "hall/cellar"), ("hall/cellar", "")],
};

fn in_hut(files: &[(&str, &str)]) -> (Vec<Arrow>, Vec<String>) {
    let file = |(name, text): &(&str, &str)| (format!("hut/src/{name}"), (*text).to_owned());
    HUT.arrows(&files.iter().map(file).collect::<Vec<_>>())
}

#[test]
fn an_arrow_up_is_told_with_its_line_and_the_way_to_mend_it() {
    let (arrows, homeless) = in_hut(&[
        ("roof.rs", "use crate::hall::Lamp;"),
        ("hall/mod.rs", "mod cellar;\n#[cfg(test)]\nmod tests;\npub use cellar::Wine;"),
        ("hall/tests.rs", "use crate::roof::Tile;"),
        ("hall/cellar.rs", "//! Below.\n\nuse super::Lamp;"),
    ]);
    assert_eq!(homeless, [""; 0]);
    assert_eq!(arrows.len(), 3);
    let broken = HUT.broken(&arrows);
    assert_eq!(broken.len(), 1, "{broken:?}");
    let start = "hut/src/hall/cellar.rs:3: `hall/cellar` names `hall`, which is above it: move";
    assert!(broken[0].starts_with(start), "{broken:?}");
    let (arrows, homeless) = in_hut(&[
        ("roof.rs", "use crate::hall::cellar::Wine;\nuse crate::Lamp;"),
        ("attic.rs", ""),
    ]);
    assert!(HUT.broken(&arrows)[0].contains("which its row leaves out"));
    assert!(homeless[0].starts_with("hut/src/roof.rs:2: `Lamp` is no room"), "{homeless:?}");
    assert!(homeless[1].starts_with("hut/src/attic.rs: a room without a row"), "{homeless:?}");
}

#[test]
fn a_circle_is_told_room_by_room() {
    let arrow = |from, to| Arrow { from, to, place: format!("{from}.rs:1") };
    let straight = [arrow("a", "b"), arrow("b", "c"), arrow("a", "c"), arrow("d", "b")];
    assert_eq!(circle(&straight), None);
    let round = [&straight[..], &[arrow("c", "d")]].concat();
    let found = circle(&round).unwrap();
    assert_eq!(found.len(), 3);
    let next = |pair: &[&Arrow]| pair[0].to == pair[1].from;
    assert!(found.windows(2).all(next) && found[2].to == found[0].from);
    assert!(told(&found).contains("d.rs:1: `d` names `b`"));
}
