//! Everything a person can get wrong in a scenario is told with file, line, caret and the fix.
//!
//! Each case is the text as typed and the exact first line of the error.

mod told;

use std::fs;
use std::path::Path;

use rumormill::Config;
use rumormill::core::Value;
use rumormill_sim::scenario::{Blame, Set, load, parse};

use self::told::{assert_action_told, assert_told, error, head, whole_error};

#[test]
fn the_whole_error_has_the_line_and_a_caret_under_the_key() {
    let error = error("[engine]\nfanout = 3\n");
    let expected = "bad.toml:5:1: unknown key `fanout`, did you mean `fan_out`?\n  \
                    |\n5 | fanout = 3\n  | ^^^^^^";
    assert_eq!(error, expected);
}

#[test]
fn a_missing_file_is_named_with_its_nearest_neighbour() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("partition.toml"), head()).unwrap();
    let error = |name: &str| load(&folder.path().join(name), &[]).unwrap_err().to_string();
    let path = folder.path().display();
    assert_eq!(
        error("partitoin.toml"),
        format!(
            "{path}/partitoin.toml: there is no such file, did you mean `{path}/partition.toml`?"
        )
    );
    assert_eq!(error("quite-other.txt"), format!("{path}/quite-other.txt: there is no such file"));
}

#[test]
fn a_directory_is_no_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path(), &[]).unwrap_err();
    let path = folder.path().display();
    assert_eq!(
        error.to_string(),
        format!("{path}: this is a directory: name a scenario file in it")
    );
    assert_eq!(error.blame(), Blame::Scenario);
}

#[test]
fn a_file_that_is_not_utf8_shows_its_first_wrong_byte() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), b"name = 'x'\n# caf\xe9\n").unwrap();
    let error = load(file.path(), &[]).unwrap_err().to_string();
    let path = file.path().display();
    assert_told(
        &error,
        &format!("{path}:2:6: this byte is not UTF-8: save the file as UTF-8 text"),
    );
}

#[test]
fn broken_toml_points_at_the_break() {
    assert_told(&error("x = [1,\n"), "bad.toml:4:8: unclosed array, expected `]`");
    assert_told(&error("[engine\n"), "bad.toml:4:8: unclosed table, expected `]`");
    assert_told(
        &error("warmup = 5s\n"),
        "bad.toml:4:10: string values must be quoted, expected literal string",
    );
    assert_told(&error("nodes = 7\n"), "bad.toml:4:1: the key `nodes` stands here twice: keep one");
}

#[test]
fn an_unknown_key_names_the_nearest_at_every_level() {
    for (rest, first_line) in [
        ("warm_up = '5s'", "bad.toml:4:1: unknown key `warm_up`, did you mean `warmup`?"),
        ("fanout = 3", "bad.toml:4:1: unknown key `fanout`, did you mean `[engine] fan_out`?"),
        ("los = '1%'", "bad.toml:4:1: unknown key `los`, did you mean `[network] loss`?"),
        ("engine.cycel = '1s'", "bad.toml:4:8: unknown key `cycel`, did you mean `cycle`?"),
        (
            "[network]\nlatancy = '1ms'",
            "bad.toml:5:1: unknown key `latancy`, did you mean `latency`?",
        ),
        (
            "[network]\nlatency = { lognormal = { mean = '5ms', p99 = '9ms' } }",
            "bad.toml:5:27: unknown key `mean`, did you mean `median`?",
        ),
        (
            "bootstrap = { entries = 9 }\n[engine]\nwire_max = 1",
            "bad.toml:4:13: these nodes hold no entries: leave `entries` out",
        ),
        (
            "bootstrap = { entries = 9 }\n[engine]\nentries_max = 8",
            "bad.toml:4:13: 9 entries of 100 bytes do not fit: raise `entries_max`, \
             `entries_bytes_max` or `entry_len_max` in [engine]",
        ),
        ("bootstrap = { rand = 3 }", "bad.toml:4:15: unknown key `rand`, did you mean `random`?"),
        (
            "[[at]]\ntimes = '1s'\ncrash = 7",
            "bad.toml:5:1: unknown key `times`, did you mean `time`?",
        ),
    ] {
        assert_told(&error(rest), first_line);
    }
}

#[test]
fn an_unknown_key_of_an_action_names_the_nearest() {
    for (action, first_line) in [
        ("crush = 7", "bad.toml:6:1: unknown key `crush`, did you mean `crash`?"),
        (
            "publish = { nodes = 7, data = 'x' }",
            "bad.toml:6:13: unknown key `nodes`, did you mean `node`?",
        ),
        (
            "restart = { nodes = 7, adress = 'new' }",
            "bad.toml:6:24: unknown key `adress`, did you mean `address`?",
        ),
        ("join = { cuont = 5 }", "bad.toml:6:10: unknown key `cuont`, did you mean `count`?"),
        (
            "crash = { random = 5, form = 'all' }",
            "bad.toml:6:23: unknown key `form`, did you mean `from`?",
        ),
        (
            "link = { betwen = [1, 2], loss = '1%' }",
            "bad.toml:6:10: unknown key `betwen`, did you mean `between`?",
        ),
        (
            "loss = { zzz = 1, loss = '1%' }",
            "bad.toml:6:10: unknown key `zzz`: it must be one of loss, from, to, between",
        ),
    ] {
        assert_action_told(action, first_line);
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_told_what_it_must_be() {
    for (rest, first_line) in [
        (
            "warmup = 5",
            "bad.toml:4:10: expected a duration in quotes, such as \"5s\", found a whole number",
        ),
        (
            "[engine]\nfan_out = 'three'",
            "bad.toml:5:11: `fan_out`: this is a text, it must be a whole number",
        ),
        (
            "[network]\nloss = 0.01",
            "bad.toml:5:8: expected a percent in quotes, such as \"1%\", found a number with a \
             fraction",
        ),
        ("engine = 3", "bad.toml:4:10: expected a table: [engine], found a whole number"),
        ("[at]\ntime = '1s'", "bad.toml:4:1: actions stand under [[at]], with two brackets"),
        (
            "bootstrap = 'frist'",
            "bad.toml:4:13: `frist` is none of \"first\" or \"full\", did you mean `first`?",
        ),
        ("rumor_rows_max = 2025-01-01", "bad.toml:4:18: expected a limit on rows, found a date"),
    ] {
        assert_told(&error(rest), first_line);
    }
    assert_told(
        &whole_error("name = 'x'\nnodes = '50'\nduration = '60s'"),
        "bad.toml:2:9: expected a number of nodes, found a text",
    );
    assert_told(
        &whole_error("name = 'X y'\nnodes = 50\nduration = '60s'"),
        "bad.toml:1:8: `X y` is no name: 1 to 64 of a-z, 0-9 and -, because it names a folder",
    );
}

#[test]
fn a_missing_key_is_shown_as_it_would_be_written() {
    assert_told(
        &whole_error("name = 'x'\nduration = '60s'"),
        "bad.toml:1:1: `nodes` is missing: add `nodes = 50`",
    );
    assert_told(&whole_error(""), "bad.toml:1:1: `name` is missing: add `name = \"my-scenario\"`");
    assert_told(
        &error("[[at]]\ncrash = 7"),
        "bad.toml:4:1: `time` is missing: add `time = \"10s\"`",
    );
}

#[test]
fn nodes_must_exist() {
    for (action, first_line) in [
        ("crash = 50", "bad.toml:6:9: there is no node 50: there are 50, 0 to 49"),
        ("crash = '40..60'", "bad.toml:6:9: there is no node 59: there are 50, 0 to 49"),
        ("crash = [1, '0..=50']", "bad.toml:6:13: there is no node 50: there are 50, 0 to 49"),
        (
            "crash = { random = 1, from = 'live', except = '99' }",
            "bad.toml:6:47: there is no node 99: there are 50, 0 to 49",
        ),
        ("crash = -1", "bad.toml:6:9: -1 is out of range: a node from 0 to 4294967295"),
    ] {
        assert_action_told(action, first_line);
    }
    assert_action_told(
        "crash = 55\n[[at]]\ntime = '1s'\njoin = { count = 5 }",
        "bad.toml:6:9: there is no node 55: there are 55, 0 to 54, newcomers included",
    );
}

#[test]
fn ranges_of_nodes_must_hold_some() {
    for (action, first_line) in [
        (
            "crash = '7..7'",
            "bad.toml:6:9: `7..7` is empty because `..` leaves its end out, did you mean `7..=7`?",
        ),
        ("crash = '25..0'", "bad.toml:6:9: `25..0` is upside down, did you mean `0..25`?"),
        ("crash = '9..=3'", "bad.toml:6:9: `9..=3` is upside down, did you mean `3..=9`?"),
        ("crash = '50%..0%'", "bad.toml:6:9: `50%..0%` is upside down, did you mean `0%..50%`?"),
        ("crash = '5%..5%'", "bad.toml:6:9: `5%..5%` is empty: both its ends are 5%"),
        ("crash = '0%..1%'", "bad.toml:6:9: \"0%..1%\" is no node at this time"),
        ("crash = 'joined'", "bad.toml:6:9: \"joined\" is no node at this time"),
        ("crash = []", "bad.toml:6:9: [] is no node at this time"),
        ("crash = 'lvie'", "bad.toml:6:9: `lvie` names no nodes, did you mean `live`?"),
        ("crash = { random = 51 }", "bad.toml:6:9: 51 random nodes are asked for, 50 are there"),
        (
            "crash = 'a..b'",
            "bad.toml:6:9: `a..b` is no range of nodes: write \"0..25\" or \"0%..50%\"",
        ),
    ] {
        assert_action_told(action, first_line);
    }
}

#[test]
fn times_must_fit_the_run() {
    assert_told(
        &error("[[at]]\ntime = '61s'\ncrash = 7"),
        "bad.toml:5:8: the time 1m 1s lies beyond the duration 1m",
    );
    assert_told(
        &error("start = '0s..2min'"),
        "bad.toml:4:9: the last start 2m lies beyond the duration 1m",
    );
    assert_told(
        &error("warmup = '60s'"),
        "bad.toml:4:10: the warm-up 1m leaves nothing of the duration 1m",
    );
    assert_told(
        &error("sample = '1us'"),
        "bad.toml:4:10: a sample every 1us makes more than 1000000 rows",
    );
    assert_told(
        &whole_error("name = 'x'\nnodes = 5\nduration = '0s'"),
        "bad.toml:3:12: `0s` is no time at all: it must be more than zero",
    );
}

#[test]
fn months_weeks_and_years_are_no_units_of_time() {
    for (time, unit) in [("1M", "M"), ("1w", "w"), ("1y", "y")] {
        assert_told(
            &error(&format!("[[at]]\ntime = '{time}'\ncrash = 7")),
            &format!(
                "bad.toml:5:8: `{unit}` is no unit of time here: use ns, us, ms, s, min, h or d"
            ),
        );
    }
}

#[test]
fn an_at_has_exactly_one_action() {
    assert_action_told(
        "crash = 7\nstop = 8",
        "bad.toml:7:1: two actions in one [[at]], `crash` and `stop`: give each its own",
    );
    assert_told(
        &error("[[at]]\ntime = '10s'\nfor = '3s'"),
        "bad.toml:4:1: this [[at]] has no action: add one of publish, put, delete, partition, \
         heal, isolate, link, loss, latency, crash, restart, stop, start, leave, join, pause, \
         suspend, starve, slow, clock, update, drop, replay, inject",
    );
}

#[test]
fn latencies_must_not_be_upside_down() {
    for (latency, first_line) in [
        ("'10ms..1ms'", "bad.toml:5:11: `10ms..1ms` is upside down, did you mean `1ms..10ms`?"),
        (
            "{ lognormal = { median = '60ms', p99 = '5ms' } }",
            "bad.toml:5:25: upside down: the median 60ms must lie below the p99 5ms",
        ),
        (
            "{ lognormal = { median = '5ms', p99 = '60ms' }, min = '6ms' }",
            "bad.toml:5:65: the least delay 6ms lies above the median 5ms",
        ),
        ("'1ms..=10ms'", "bad.toml:5:11: a range of time holds both its ends: write `1ms..10ms`"),
    ] {
        assert_told(&error(&format!("[network]\nlatency = {latency}")), first_line);
    }
}

#[test]
fn percents_and_sizes_have_limits() {
    for (key, first_line) in [
        ("loss = '101%'", "`101%` is out of range: it must lie between 0% and 100%"),
        ("loss = '1'", "`1` is no percent: write a number and %, such as 2.5%"),
        ("corrupt = '-1%'", "`-1%` is no percent: write a number and %, such as 2.5%"),
        ("mtu = 20", "20 is out of range: a size, such as 1400 or \"256KiB\" from 68 to 65535"),
        ("mtu = '1MiB'", "1048576 bytes are out of range: from 68 to 65535"),
        ("bandwidth = '20Mbits/s'", "`20Mbits/s` is no bandwidth, did you mean `20Mbit/s`?"),
    ] {
        let column = key.find('=').unwrap() + 3;
        let told = format!("bad.toml:5:{column}: {first_line}");
        assert_told(&error(&format!("[network]\n{key}")), &told);
    }
}

#[test]
fn expectations_are_about_measures_in_their_units() {
    for (line, first_line) in [
        (
            "'node_list.convergd_after' = '<= 5s'",
            "5:1: unknown measure `node_list.convergd_after`, did you mean \
             `node_list.converged_after`?",
        ),
        ("t99 = '<= 5s'", "5:1: unknown measure `t99`, did you mean `metadata.t99`?"),
        ("speed = '> 1'", "5:1: unknown measure `speed`: `sim measures` lists them all"),
        (
            "'metadata.t99' = '<= 5'",
            "5:18: `metadata.t99` is a duration and `5` is none: write such as `<= 5s`",
        ),
        (
            "removals.false = '== 5s'",
            "5:18: `removals.false` is a count and `5s` is none: write such as `== 0`",
        ),
        (
            "'metadata.t99' = '5s'",
            "5:18: `5s` is no condition: begin with <, <=, ==, !=, >= or >, such as `<= 5s`",
        ),
        (
            "removals.false = 0",
            "5:18: expected a condition in quotes, such as \"<= 5s\" or \"== 0\", found a whole \
             number",
        ),
        (
            "removals.false = '== 0'\n'removals.false' = '< 1'",
            "6:1: `removals.false` is expected twice",
        ),
        ("seeds = '200%'", "5:9: `200%` is out of range: it must lie between 0% and 100%"),
    ] {
        assert_told(&error(&format!("[expect]\n{line}")), &format!("bad.toml:{first_line}"));
    }
}

#[test]
fn a_heal_needs_a_label_that_is_there_and_has_begun() {
    let split = "[[at]]\ntime = '20s'\npartition = ['0..25']\nlabel = 'split'\n";
    assert_told(
        &error(&format!("{split}[[at]]\ntime = '30s'\nheal = 'spilt'")),
        "bad.toml:10:8: unknown label `spilt`, did you mean `split`?",
    );
    assert_told(
        &error("[[at]]\ntime = '30s'\nheal = 'split'"),
        "bad.toml:6:8: unknown label `split`: there is no label here",
    );
    assert_told(
        &error(&format!("{split}[[at]]\ntime = '10s'\nheal = 'split'")),
        "bad.toml:10:8: `split` begins only at 20s, this heal is at 10s",
    );
}

#[test]
fn huge_numbers_are_refused_not_wrapped() {
    let nodes =
        |number: &str| whole_error(&format!("name = 'x'\nnodes = {number}\nduration = '1s'"));
    let limits = "is out of range: a number of nodes from 1 to 10000000";
    assert_told(&nodes("0"), &format!("bad.toml:2:9: 0 {limits}"));
    assert_told(&nodes("99999999999"), &format!("bad.toml:2:9: 99999999999 {limits}"));
    assert_told(
        &nodes("99999999999999999999"),
        &format!("bad.toml:2:9: 99999999999999999999 {limits}"),
    );
    assert_told(
        &nodes("1e99"),
        "bad.toml:2:9: expected a number of nodes, found a number with a fraction",
    );
    assert_told(
        &whole_error("name = 'x'\nnodes = 5\nduration = '99999999999999999999s'"),
        "bad.toml:3:12: `99999999999999999999s` is no duration: write a number and a unit, such as \
         250ms, 1.5s or 2min",
    );
    assert_told(
        &whole_error("name = 'x'\nnodes = 5\nduration = '999999d'"),
        "bad.toml:3:12: `999999d` is too long: at most 365d",
    );
    let deep = format!("crash = {}1{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(error(&format!("[[at]]\ntime = '1s'\n{deep}")).starts_with("bad.toml:6:"));
}

#[test]
fn the_engine_refuses_what_can_not_be() {
    for (rest, first_line) in [
        ("fan_out = 0", "5:11: `fan_out`: must be at least 1"),
        (
            "timeout = '1s'",
            "5:11: `timeout`: 1s does not lie above 2 cycles and up to 100 (the cycle is 1s)",
        ),
        ("members_max = 20", "5:15: 50 nodes take part, newcomers included, but only 20 may"),
        (
            "seeds = ['a']",
            "5:1: `seeds` has no place in a scenario: `bootstrap` says how the nodes find each \
             other",
        ),
        ("swap = 'onn'", "5:8: `swap`: `onn` is none of on, off: did you mean `on`?"),
        (
            "cycle = 1.5",
            "5:9: expected a number, a text, true or false, or a list of texts, found a number \
             with a fraction",
        ),
    ] {
        assert_told(&error(&format!("[engine]\n{rest}")), &format!("bad.toml:{first_line}"));
    }
}

#[test]
fn actions_must_make_sense_at_their_time() {
    let too_large = Value::new(vec![0; (1 << 20) + 1], &Config::default()).unwrap_err();
    let twice = "crash = 7\n[[at]]\ntime = '20s'\n";
    for (action, first_line) in [
        (
            format!("{twice}publish = {{ node = 7, data = 'x' }}"),
            "bad.toml:9:20: nothing to publish at 20s: node 7 went down at 10s, \
             `{ random = 1 }` is one that runs",
        ),
        (
            format!("{twice}crash = '7..=7'"),
            "bad.toml:9:9: nothing to crash at 20s: node 7 went down at 10s",
        ),
        ("start = 7".to_owned(), "bad.toml:6:9: nothing to start at 10s: node 7 is not stopped"),
        (
            "publish = { node = 'all', data = 'x' }".to_owned(),
            "bad.toml:6:20: one node publishes, \"all\" are 50: write { random = 1, from = \
             \"all\" }",
        ),
        (
            "partition = ['0..25', '20..50']".to_owned(),
            "bad.toml:6:23: node 20 stands in two groups of this partition",
        ),
        (
            "publish = { node = 7, data = 'x' }\nfor = '1s'".to_owned(),
            "bad.toml:7:1: `publish` can't be undone: leave `for` out",
        ),
        (
            "publish = { node = 7, size = 1048577 }".to_owned(),
            &format!("bad.toml:6:30: {too_large}"),
        ),
        (
            "publish = { node = 7 }".to_owned(),
            "bad.toml:6:11: nothing to publish: add `data = \"v1\"` or `size = \"1KiB\"`",
        ),
        (
            "loss = { loss = '5%', from = 7 }".to_owned(),
            "bad.toml:6:23: `from` and `to` stand together: add the other",
        ),
        (
            "link = { between = [1, 2] }".to_owned(),
            "bad.toml:6:8: this link changes nothing: add one of latency, jitter, loss, \
             duplicate, reorder, corrupt, mtu, bandwidth, queue",
        ),
        (
            "join = { count = 0 }".to_owned(),
            "bad.toml:6:18: 0 is out of range: a number of newcomers from 1 to 1000000",
        ),
    ] {
        assert_action_told(&action, first_line);
    }
}

#[test]
fn an_error_in_a_set_says_that_it_came_from_there() {
    for (set, first_line) in [
        ("engine.fanout=4", "unknown key `fanout`, did you mean `fan_out`?"),
        ("network.latency=9ms..3ms", "`9ms..3ms` is upside down, did you mean `3ms..9ms`?"),
        ("nodes=0", "0 is out of range: a number of nodes from 1 to 10000000"),
        ("nodes.x=3", "`nodes` is a whole number, so that nothing can be set in it"),
        ("at.1.time=3s", "`at` has no `1`: its elements are 0 to 0"),
        ("engine={fan_out=0}", "`fan_out`: must be at least 1"),
    ] {
        let text = head() + "[[at]]\ntime = '10s'\ncrash = 7";
        let sets = [Set::parse(set).unwrap()];
        let error = parse("bad.toml", &text, &sets).unwrap_err().to_string();
        assert_told(&error, &format!("--set {set}: {first_line}"));
    }
    for set in ["nodes", "=3", "engine.=3", ""] {
        let error = Set::parse(set).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--set {set}: ")), "{error}");
        assert!(error.contains("engine.fan_out=4"), "{error}");
    }
}

#[test]
fn windows_line_ends_do_not_confuse_the_caret() {
    let text = (head() + "fanout = 3\n").replace('\n', "\r\n");
    let error = whole_error(&text);
    assert_told(&error, "bad.toml:4:1: unknown key `fanout`, did you mean `[engine] fan_out`?");
}

#[test]
fn no_cut_of_a_good_scenario_panics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let text = fs::read_to_string(folder.join("churn.toml")).unwrap();
    for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
        // Good or bad, it must come back; and what is bad must be tellable.
        if let Err(error) = parse("cut.toml", &text[..end], &[]) {
            assert!(error.to_string().starts_with("cut.toml:"));
        }
    }
}

#[test]
fn a_wire_that_the_simulator_does_not_speak_is_refused() {
    assert_told(
        &error("[engine]\nwire = 'pekonode'\n"),
        "bad.toml:5:8: the simulator's nodes speak `native` to each other: leave it out, or run \
         the other protocol: [protocol] name = \"pekonode\"",
    );
}

#[test]
fn no_error_repeats_a_secret_that_was_copied_from_a_service() {
    for (lines, told) in [
        (
            "[engine]\nsecret_key = 'hush'\n",
            "bad.toml:5:1: `secret_key` has no place in a scenario",
        ),
        ("[engine]\nsecret_ky = 'hush'\n", "bad.toml:5:1: unknown key `secret_ky`"),
        ("[engine]\nsecret_key = hush\n", "bad.toml:5:14: "),
        ("engine = { secret_key = 'hush' }\n", "bad.toml:4:12: `secret_key` has no place"),
        ("[engine]\nstate_dir = 'disk'\n", "bad.toml:5:1: `state_dir` has no place"),
        ("[engine]\nsecret_key_file = 'hush'\n", "bad.toml:5:1: `secret_key_file` has no place"),
        (
            "[engine]\nsecret_key = 'hush'\ntimeout = '1s'\n",
            "bad.toml:5:1: `secret_key` has no place",
        ),
    ] {
        let error = error(lines);
        assert!(error.starts_with(told), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
    let set = Set::parse("engine.secret_key=hush").unwrap();
    let error = parse("bad.toml", &head(), &[set]).unwrap_err().to_string();
    assert!(error.starts_with("--set: `secret_key` has no place in a scenario"), "{error}");
    assert!(!error.contains("hush"), "{error}");
}
