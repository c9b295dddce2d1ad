//! The corpora of the fuzz targets: every file is lived through by the function that its target
//! calls, and a packet that was written down still reads as what it was.

use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rumormill::core::PacketKind;
use rumormill::{fuzzing, wire};
use rumormill_sim::fuzzing as files;
use rumormill_tests::root;

/// A fuzz target and what it calls.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 12] = [
    ("connection", fuzzing::connection),
    ("decode", fuzzing::decode),
    ("decode_pekonode", fuzzing::decode_pekonode),
    ("handle", fuzzing::handle),
    ("pekonode", fuzzing::pekonode),
    ("probes", fuzzing::probes),
    ("seal", fuzzing::seal),
    ("sim_run", files::run_files),
    ("sim_scenario", files::scenario),
    ("sim_sweep", files::sweep_files),
    ("stream", fuzzing::stream),
    ("talk", fuzzing::talk),
];

/// What a corpus may come to: each file of it is run by every `cargo test`.
const FILES_MAX: usize = 60;
const BYTES_MAX: usize = 60_000;

/// Ordinary settings, in a script.
const PLAIN: [u8; 2] = [0, 0];
/// Before a packet comes.
const PAUSE: Duration = Duration::from_millis(300);

/// Set to anything, it writes the packets of today down.
const BLESS: &str = "RUMORMILL_BLESS";
const BLESSING: &str = "RUMORMILL_BLESS=1 cargo test -p rumormill-tests --test corpora";

fn corpora() -> PathBuf {
    root().join("fuzz/corpus")
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|it| panic!("{}: {it}", folder.display()));
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a name in UTF-8");
    let mut names: Vec<_> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.sort();
    names
}

/// The files of a corpus, with what they hold.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = corpora().join(target);
    let read = |name: String| {
        let bytes = fs::read(folder.join(&name)).expect("a file of a corpus");
        (format!("fuzz/corpus/{target}/{name}"), bytes)
    };
    names(&folder).into_iter().map(read).collect()
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it panicked".to_owned())
}

/// What a target makes of a file that it does not live through.
fn complaint((target, body): Target, name: &str, bytes: &[u8]) -> Option<String> {
    let lived = catch_unwind(AssertUnwindSafe(|| body(bytes)));
    lived.err().map(|panic| {
        let said = said(panic.as_ref());
        format!("{name}: {said}\n  reproduce: cargo fuzz run --fuzz-dir fuzz {target} {name}")
    })
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_file_of_a_corpus_is_lived_through() {
    let complaints: Vec<_> = TARGETS
        .into_iter()
        .flat_map(|target| {
            let files = corpus(target.0).into_iter();
            files.filter_map(move |(name, bytes)| complaint(target, &name, &bytes))
        })
        .collect();
    assert_none(&complaints);
}

#[test]
fn a_file_that_is_not_lived_through_is_told_with_the_command_that_repeats_it() {
    let body = |bytes: &[u8]| assert!(bytes.len() < 2, "{} bytes are too many", bytes.len());
    assert_eq!(complaint(("decode", body), "fuzz/corpus/decode/a", b"1"), None);
    let told = complaint(("decode", body), "fuzz/corpus/decode/b", b"12").expect("a complaint");
    let repeats = "cargo fuzz run --fuzz-dir fuzz decode fuzz/corpus/decode/b";
    assert_eq!(told, format!("fuzz/corpus/decode/b: 2 bytes are too many\n  reproduce: {repeats}"));
}

#[test]
fn every_target_has_a_corpus_that_is_small_and_no_folder_is_of_another() {
    let sources = names(&root().join("fuzz/targets"));
    let targets: Vec<_> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(targets, sources);
    assert_eq!(names(&corpora()), TARGETS.map(|(name, _)| name));
    for (target, _) in TARGETS {
        let files = corpus(target);
        let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let sizes = (files.len(), bytes);
        let fit = (5..=FILES_MAX).contains(&files.len()) && bytes <= BYTES_MAX;
        assert!(
            fit,
            "fuzz/corpus/{target} has {sizes:?}: fuzz/README.md says how it is made small"
        );
    }
}

/// The file of a packet that is written down.
fn file_of(kind: PacketKind) -> String {
    format!("packet-{kind:?}")
}

/// Writes a packet of every kind down: by itself, and as it comes to an engine in a script.
fn bless() {
    for packet in fuzzing::samples() {
        let mut bytes = Vec::new();
        wire::encode(&packet, &mut bytes);
        let script = [&PLAIN[..], &fuzzing::arrival(1, PAUSE, &packet)].concat();
        for (target, bytes) in [("decode", &bytes), ("handle", &script), ("probes", &script)] {
            fs::write(corpora().join(target).join(file_of(packet.kind())), bytes).expect("a file");
        }
    }
}

#[test]
fn a_packet_of_every_kind_is_written_down_and_reads_as_what_it_was() {
    if std::env::var_os(BLESS).is_some() {
        bless();
    }
    let mut complaints = Vec::new();
    for kind in PacketKind::ALL {
        let name = file_of(kind);
        let path = corpora().join("decode").join(&name);
        let read = fs::read(&path).map_err(|error| error.to_string());
        let read = read.and_then(|bytes| wire::decode(&bytes).map_err(|why| format!("{why:?}")));
        match read {
            Ok(packet) if packet.kind() == kind => {}
            Ok(packet) => complaints.push(format!("{name} reads as {:?}", packet.kind())),
            Err(why) => complaints.push(format!("{name} does not read any more: {why}")),
        }
    }
    let all = complaints.join("\n  ");
    assert!(complaints.is_empty(), "in fuzz/corpus/decode\n  {all}\nIf it is meant: {BLESSING}");
}

#[test]
fn the_samples_have_every_kind_of_packet_once() {
    let kinds: Vec<_> = fuzzing::samples().iter().map(|packet| packet.kind()).collect();
    let named: BTreeSet<_> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    assert_eq!((kinds.len(), named.len()), (PacketKind::ALL.len(), PacketKind::ALL.len()));
}
