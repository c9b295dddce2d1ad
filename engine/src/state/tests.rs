//! Folders as they are found: each that can't be used is told, and left as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::file::{ABOUT, FORMAT};
use super::{OpenedState, StateError, StateFolder, StateOwner, reset_state};
use crate::config::Config;
use crate::core::{Command, Engine, EntryKey, Input, Moment, Outbox, Record, Terms, Value};
use crate::node::{Generation, Node};
use crate::time::{Instant, Now, UnixNanos};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// A folder that is gone with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("rumormill-state-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn state(&self) -> PathBuf {
        self.0.join("state")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// So long after the start of the first life, by both clocks.
fn at(since: Duration) -> Now {
    Now { mono: Instant::ZERO + HOUR + since, wall: UnixNanos(1 << 60).saturating_add(since) }
}

fn owner(port: u16, name: &str) -> StateOwner {
    let addr = ([10, 0, 0, 1], port).into();
    StateOwner { addr, name: name.to_owned(), cluster: "blue".to_owned() }
}

fn open_as(path: &Path, owner: StateOwner, now: Now) -> Result<OpenedState, StateError> {
    StateFolder::open(path, owner, None, now)
}

fn open(path: &Path, now: Now) -> Result<OpenedState, StateError> {
    open_as(path, owner(1, "a"), now)
}

fn engine(generation: Generation, now: Now) -> Engine {
    let me = Record::new(Node::at(([10, 0, 0, 1], 1).into()), generation);
    Engine::new(me.into(), Arc::new(Config::default()), Arc::default(), 1, now)
}

fn command(engine: &mut Engine, now: Now, command: Command) {
    engine.handle(now, Input::Command(command), &mut Outbox::new());
}

fn put(engine: &mut Engine, now: Now, key: &str, ttl: Option<Duration>) {
    let terms = Terms { bound: false, ttl };
    let put = Command::Put(EntryKey::new(key).unwrap(), key.as_bytes().into(), terms);
    command(engine, now, put);
}

/// An engine that has begun as what a folder says, and what is in the folder by then.
fn live(opened: OpenedState, now: Now) -> (StateFolder, Engine, Moment) {
    let OpenedState { folder, kept, generation } = opened;
    let mut engine = engine(generation, now);
    engine.take_back(now, kept, &mut Outbox::new());
    let moment = engine.moment(now);
    (folder, engine, moment)
}

fn shown(engine: &Engine, now: Now) -> Vec<String> {
    let held = engine.entries().into_iter().flat_map(|held| held.prefix("", now.mono));
    held.map(|entry| entry.key().to_string()).collect()
}

/// A folder in which something is kept.
fn filled(path: &Path) {
    let now = at(Duration::ZERO);
    let (mut folder, mut engine, moment) = live(open(path, now).unwrap(), now);
    put(&mut engine, now, "kept", None);
    let value = Value::new(*b"v", &Config::default()).unwrap();
    command(&mut engine, now, Command::Publish(value));
    folder.write(&engine.moment(now), &moment).unwrap();
}

/// All files of a folder but the lock, which says who looked last.
fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("lock"))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// What is said of a folder.
fn said(refused: Result<OpenedState, StateError>) -> String {
    refused.map(|opened| opened.generation).unwrap_err().to_string()
}

#[test]
fn what_a_life_wrote_the_next_one_takes_back_with_its_age() {
    let place = Place::new("lives");
    let start = at(Duration::ZERO);
    let (mut folder, mut engine, mut kept) = live(open(&place.state(), start).unwrap(), start);
    let first = engine.me().generation();
    // Moment by moment, each written as what has changed since the last.
    for (number, key) in ["a", "b", "c", "leased"].into_iter().enumerate() {
        let now = at(SECOND * number as u32);
        put(&mut engine, now, key, (key == "leased").then_some(10 * SECOND));
        if key == "c" {
            command(&mut engine, now, Command::Delete(EntryKey::new("a").unwrap()));
        }
        let moment = engine.moment(now);
        folder.write(&moment, &kept).unwrap();
        kept = moment;
    }
    // It is written when it is three seconds old, and not again.
    let now = at(6 * SECOND);
    let value = Value::new(*b"v", &Config::default()).unwrap();
    command(&mut engine, now, Command::Publish(value));
    folder.write(&engine.moment(now), &kept).unwrap();
    let before = engine.moment(now).kept();
    drop(folder);

    // Its machine starts anew: so does its monotonic clock.
    let later = Now { mono: Instant::ZERO, wall: at(9 * SECOND).wall };
    let opened = open(&place.state(), later).unwrap();
    assert!(opened.kept.generation == first && opened.generation > first);
    let aged = before.aged(3 * SECOND);
    assert_eq!(opened.kept, crate::core::KeptState { members: Vec::new(), ..aged });
    let (mut folder, mut engine, kept) = live(opened, later);
    assert_eq!(shown(&engine, later), ["b", "c", "leased"]);
    assert_eq!(engine.metadata().map(|held| held.data().to_vec()), Some(b"v".to_vec()));
    let over = Now { mono: later.mono + 4 * SECOND, wall: later.wall };
    assert_eq!(shown(&engine, over), ["b", "c"], "it is ten seconds old by then");

    // Changes of the second life go on where the first one ended.
    folder.is_held();
    put(&mut engine, later, "d", None);
    folder.write(&engine.moment(later), &kept).unwrap();
    drop(folder);
    let (_, engine, _) = live(open(&place.state(), later).unwrap(), later);
    assert_eq!(shown(&engine, later), ["b", "c", "d", "leased"]);
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_younger_and_no_generation_lower() {
    let place = Place::new("clocks");
    let now = at(HOUR);
    let (mut folder, mut engine, kept) = live(open(&place.state(), now).unwrap(), now);
    put(&mut engine, now, "leased", Some(10 * SECOND));
    let later = at(HOUR + 5 * SECOND);
    folder.write(&engine.moment(later), &kept).unwrap();
    let generation = engine.me().generation();
    drop(folder);
    let back = Now { mono: Instant::ZERO, wall: UnixNanos(5) };
    let opened = open(&place.state(), back).unwrap();
    assert!(opened.generation.get() > generation.get() + (1 << 20) - 1);
    assert_eq!(opened.kept.entries[0].age, 5 * SECOND);
}

#[test]
fn after_a_write_that_failed_all_is_written_anew() {
    let place = Place::new("failed");
    let path = place.state();
    let now = at(Duration::ZERO);
    let (mut folder, mut engine, kept) = live(open(&path, now).unwrap(), now);
    put(&mut engine, now, "a", None);
    // In the place of the file there is nothing any more, as on a disk that was taken out.
    folder.forget_file();
    fs::rename(path.join("state.redb"), path.join("elsewhere")).unwrap();
    let failed = folder.write(&engine.moment(now), &kept);
    assert!(matches!(failed, Err(StateError::Io { .. })), "{failed:?}");
    fs::rename(path.join("elsewhere"), path.join("state.redb")).unwrap();
    put(&mut engine, now, "b", None);
    // What was written last is told wrongly here, so that only the whole is right.
    let moment = engine.moment(now);
    folder.write(&moment, &moment).unwrap();
    drop(folder);
    let (_, engine, _) = live(open(&path, now).unwrap(), now);
    assert_eq!(shown(&engine, now), ["a", "b"]);
}

#[test]
fn a_file_is_no_folder() {
    let place = Place::new("file");
    let path = place.state();
    fs::write(&path, "mine").unwrap();
    let told = said(open(&path, at(SECOND)));
    assert!(told.contains(path.to_str().unwrap()) && told.contains("is a file: name"), "{told}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

/// What nobody may write, root neither.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_can_not_be_made_is_told_with_the_reason() {
    let told = said(open(Path::new("/proc/rumormill"), at(SECOND)));
    assert!(told.contains("`/proc/rumormill` cannot be used: "), "{told}");
    assert!(told.contains("let this process read and write there"), "{told}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_read_only_is_told_and_left() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new("read-only");
    let path = place.state();
    filled(&path);
    let before = files(&path);
    let set = |mode| fs::set_permissions(path.join("lock"), fs::Permissions::from_mode(mode));
    set(0o400).unwrap();
    fs::set_permissions(path.join("state.redb"), fs::Permissions::from_mode(0o400)).unwrap();
    match open(&path, at(SECOND)) {
        // Root may write all the same.
        Ok(_) => assert_eq!(fs::metadata("/proc/self").map(|it| is_root(&it)).ok(), Some(true)),
        Err(refused) => {
            let told = refused.to_string();
            assert!(told.contains("cannot be used: ") && told.contains("read and write"), "{told}");
            assert_eq!(files(&path), before);
        }
    }
}

#[cfg(unix)]
fn is_root(file: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(file) == 0
}

#[test]
fn a_folder_of_another_node_or_cluster_is_told_with_both_and_left() {
    let place = Place::new("foreign");
    let path = place.state();
    filled(&path);
    let other_cluster = StateOwner { cluster: "green".to_owned(), ..owner(1, "a") };
    for other in [owner(2, "b"), owner(2, ""), other_cluster] {
        let told = said(open_as(&path, other.clone(), at(SECOND)));
        let [found, ours] = [owner(1, "a"), other].map(|owner| owner.to_string());
        assert!(told.contains(&format!("that of {found}, and this is {ours}: ")), "{told}");
    }
    // At another address it is known by its name; at its own it may have another.
    for same in [owner(2, "a"), owner(2, "b")] {
        let opened = open_as(&path, same, at(2 * SECOND)).unwrap();
        assert_eq!(opened.kept.entries.len(), 1);
    }
}

#[test]
fn a_folder_of_a_newer_format_is_told_with_both_and_left() {
    let place = Place::new("newer");
    let path = place.state();
    filled(&path);
    set_format(&path, FORMAT + 1);
    let told = said(open(&path, at(SECOND)));
    assert!(told.contains("has format 2, and this build knows those up to 1: run"), "{told}");
    set_format(&path, FORMAT);
    assert_eq!(open(&path, at(SECOND)).unwrap().kept.entries.len(), 1);
}

fn set_format(path: &Path, format: u32) {
    let file = redb::Database::open(path.join("state.redb")).unwrap();
    let transaction = file.begin_write().unwrap();
    transaction.open_table(ABOUT).unwrap().insert("format", &format.to_le_bytes()[..]).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_folder_that_a_living_node_has_is_told_with_its_process() {
    let place = Place::new("locked");
    let path = place.state();
    let first = open(&path, at(SECOND)).unwrap();
    let told = said(open(&path, at(SECOND)));
    let by = format!("is in use by process {}: end that", std::process::id());
    assert!(told.contains(&by), "{told}");
    drop(first);
    assert!(open(&path, at(SECOND)).is_ok(), "it is free again");
}

#[test]
fn a_damaged_folder_is_told_and_left_whatever_is_wrong_with_it() {
    let place = Place::new("damaged");
    let path = place.state();
    filled(&path);
    let file = path.join("state.redb");
    let sound = fs::read(&file).unwrap();
    let at_key = sound.windows(4).rposition(|bytes| bytes == b"kept").unwrap();
    let flipped = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    let damages = [
        b"no database, but a text of some hundred bytes".repeat(20),
        sound[..sound.len() / 3].to_vec(),
        flipped(0),
        flipped(at_key),
    ];
    for (number, bytes) in damages.into_iter().enumerate() {
        fs::write(&file, &bytes).unwrap();
        let told = said(open(&path, at(SECOND)));
        assert!(
            told.contains("is damaged: ") && told.contains("`reset_state`"),
            "{number}: {told}"
        );
        assert!(number > 1 || fs::read(&file).unwrap() == bytes, "{number}: it was changed");
    }
    fs::write(&file, &sound).unwrap();
    assert_eq!(open(&path, at(SECOND)).unwrap().kept.entries.len(), 1);
}

#[test]
fn a_reset_moves_a_folder_aside_and_deletes_nothing() {
    let place = Place::new("reset");
    let path = place.state();
    assert_eq!(reset_state(&path).unwrap(), None);
    for number in 1..=2 {
        filled(&path);
        let before = files(&path).into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>();
        let moved = reset_state(&path).unwrap().unwrap();
        assert_eq!(moved, place.0.join(format!("state.old-{number}")));
        let after = files(&moved).into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>();
        assert!(before == after && !path.exists());
    }
    assert!(open(&path, at(SECOND)).unwrap().kept.entries.is_empty());
}
