//! What a person can get wrong about groups, links, repetition, pauses and clocks is told with
//! file, line, caret and the fix; and all that is wrong with a file is told at once.

mod told;

use rumormill_sim::scenario::{Set, parse};

use self::told::{assert_action_told, assert_told, error, head};

#[test]
fn groups_are_named_and_fixed_and_agree() {
    for (groups, first_line) in [
        ("[groups.az-a]\nnode = 7", "5:1: unknown key `node`, did you mean `nodes`?"),
        ("[groups.az-a]\nname = 'a'", "4:1: `nodes` is missing: add `nodes = \"0..25\"`"),
        ("[groups.live]\nnodes = 7", "4:9: `live` names nodes already: take another name"),
        (
            "[groups.'1st']\nnodes = 7",
            "4:9: `1st` names no group: a letter, then letters, 0-9, - and _",
        ),
        (
            "[groups.a]\nnodes = ['0..5', 'live']",
            "5:18: these nodes must be the same all the time: name them by number, range, \
             percent or group",
        ),
        ("[groups.a]\nnodes = 50", "5:9: there is no node 50: there are 50, 0 to 49"),
        (
            "[groups.a]\nnodes = '0..5'\nname = 'a'\n[groups.b]\nnodes = 3\nname = 'b'",
            "9:1: node 3 has its `name` from the group `a` already",
        ),
        (
            "[groups.a]\nnodes = 0\n[groups.a.engine]\nfanout = 3",
            "7:1: unknown key `fanout`, did you mean `fan_out`?",
        ),
        (
            "[groups.a]\nnodes = 0\nclock = { drift = '3' }",
            "6:19: `3` is no drift: write such as 200ppm or -0.5%, with 3 or 7 decimals",
        ),
        (
            "[groups.a]\nnodes = 'b'\n[groups.b]\nnodes = 1",
            "5:9: `b` names no nodes: write a \
             number such as 7, a range such as \"0..25\", or \"all\", \"live\", \"joined\"",
        ),
    ] {
        assert_told(&error(groups), &format!("bad.toml:{first_line}"));
    }
}

#[test]
fn a_group_that_is_meant_is_told() {
    let group = "[groups.az-a]\nnodes = '0..25'\n[[at]]\ntime = '10s'\n";
    for (action, first_line) in [
        ("crash = 'az_a'", "8:9: `az_a` names no nodes, did you mean `az-a`?"),
        ("crash = 'az-b[0]'", "8:9: unknown group `az-b`, did you mean `az-a`?"),
        ("crash = 'az-a[25]'", "8:9: `az-a` has no node [25]: they are [0] to [24]"),
        ("crash = 'az-a[x]'", "8:9: `az-a[x]` is no node of a group: write such as \"az-a[0]\""),
    ] {
        assert_told(&error(&format!("{group}{action}")), &format!("bad.toml:{first_line}"));
    }
    assert_action_told(
        "crash = 'az-a[0]'",
        "bad.toml:6:9: unknown group `az-a`: there is no group here",
    );
}

#[test]
fn static_links_say_which_and_what() {
    for (link, first_line) in [
        (
            "[[link]]\nlatency = '1ms'",
            "4:1: which links? Add `from` and `to` for one way, or \
             `between` for both",
        ),
        (
            "[[link]]\nbetween = [0, 'live']\nloss = '1%'",
            "5:15: these nodes must be the same all \
             the time: name them by number, range, percent or group",
        ),
        ("[[link]]\nbetween = [0, 1]\nlos = '1%'", "6:1: unknown key `los`, did you mean `loss`?"),
        ("[link]\nbetween = [0, 1]", "4:1: links stand under [[link]], with two brackets"),
    ] {
        assert_told(&error(link), &format!("bad.toml:{first_line}"));
    }
}

#[test]
fn bursts_have_a_beginning_and_an_end() {
    for (burst, first_line) in [
        ("{ bursts = {} }", "5:10: unknown key `bursts`, did you mean `burst`?"),
        (
            "{ burst = { enter = '1%', leave = '0%', loss = '9%' } }",
            "5:42: a burst must end some time: more than 0%",
        ),
        (
            "{ burst = { enter = '1%', leave = '20%' } }",
            "5:18: `loss` is missing: add `loss = \"80%\"`",
        ),
    ] {
        let text = format!("[network]\nloss = {burst}");
        assert_told(&error(&text), &format!("bad.toml:{first_line}"));
    }
}

#[test]
fn repetitions_must_end_and_lie_within_the_run() {
    for (keys, first_line) in [
        ("every = '5s'", "7:1: until when? Add `until = \"50s\"` or `count = 3`"),
        ("count = 3", "7:1: `count` goes with `every`: add `every = \"5s\"`"),
        (
            "every = '5s'\nuntil = '20s'\ncount = 3",
            "9:1: `until` and `count` exclude each other: keep one",
        ),
        (
            "every = '5s'\nuntil = '9s'",
            "8:9: `until` lies before the first `time`: nothing would happen",
        ),
        ("every = '5s'\nuntil = '61s'", "8:9: `until` 1m 1s lies beyond the duration 1m"),
        ("every = '20s'\ncount = 4", "8:9: only 3 of 4 times lie within the duration"),
        ("every = '0s'\ncount = 4", "7:9: `0s` is no time at all: it must be more than zero"),
        ("every = '100us'\nuntil = '60s'", "7:9: this makes 500001 times: at most 100000"),
        ("stagger = '1s'", "7:1: `heal` happens at once: leave `stagger` out"),
        ("for = '1s'", "7:1: `heal` can't be undone: leave `for` out"),
    ] {
        assert_action_told(&format!("heal = 'all'\n{keys}"), &format!("bad.toml:{first_line}"));
    }
}

#[test]
fn updates_and_restarts_say_what_they_can() {
    let long = "n".repeat(126) + "{i}";
    let too_long = format!("`{}9999999` is too long a name: at most 128 bytes", "n".repeat(126));
    for (action, first_line) in [
        (
            "update = { nodes = 7 }".to_owned(),
            "6:10: nothing to update: add `name = \"b-{i}\"`, `private_data = \"zone=b\"` or \
             `tags = [\"role=writer\"]`",
        ),
        (
            "update = { node = 7, name = 'b' }".to_owned(),
            "6:12: unknown key `node`, did you mean `nodes`?",
        ),
        (format!("update = {{ nodes = 7, name = '{long}' }}"), &*format!("6:30: {too_long}")),
        (
            "restart = { nodes = 7, forgets = 'generations' }".to_owned(),
            "6:34: `generations` is none of \"generation\", did you mean `generation`?",
        ),
        (
            "restart = { nodes = 7, forgets = 'generation', keep = true }".to_owned(),
            "6:55: who keeps all keeps its generation too: leave out `forgets` or `keep`",
        ),
        (
            "restart = { nodes = 7, keep = 'disk' }".to_owned(),
            "6:31: expected true or false, found a text",
        ),
        (
            "restart = { nodes = 7, stale_seeds = '0s' }".to_owned(),
            "6:38: `0s` is no time at all: it must be more than zero",
        ),
        (
            "starve = 7".to_owned(),
            "6:10: expected a table, such as { nodes = 7, delay = \"500ms..2s\" }, found a \
             whole number",
        ),
        (
            "starve = { nodes = 7, for = '1s' }".to_owned(),
            "6:23: unknown key `for`: it must be one of nodes, delay",
        ),
        (
            "starve = { nodes = 7 }".to_owned(),
            "6:10: `delay` is missing: add `delay = \"500ms..2s\"`",
        ),
        (
            "slow = { nodes = 7, cpu = '0%' }".to_owned(),
            "6:27: without a processor nothing is done: `pause` it",
        ),
        (
            "slow = { nodes = 7, cpu = '101%' }".to_owned(),
            "6:27: `101%` is out of range: it must lie between 0% and 100%",
        ),
        ("suspend = 70".to_owned(), "6:11: there is no node 70: there are 50, 0 to 49"),
        (
            "crash = 7\n[[at]]\ntime = '20s'\nupdate = { nodes = 7, name = 'b' }".to_owned(),
            "9:20: nothing to update at 20s: node 7 went down at 10s",
        ),
    ] {
        assert_action_told(&action, &format!("bad.toml:{first_line}"));
    }
}

#[test]
fn packets_that_are_dropped_or_played_back_are_named() {
    for (action, first_line) in [
        (
            "drop = { kind = 'rumour' }",
            "6:17: `rumour` is no kind of packet, did you mean `rumor`?",
        ),
        ("drop = { nth = 2 }", "6:8: `kind` is missing: add `kind = \"rumor\"`"),
        (
            "drop = { kind = 'rumor', nth = 0 }",
            "6:32: 0 is out of range: a packet from 1 to 4294967295",
        ),
        ("drop = { kind = 'rumor', form = 1 }", "6:26: unknown key `form`, did you mean `from`?"),
        ("drop = { kind = 'rumor' }\nfor = '1s'", "7:1: `drop` can't be undone: leave `for` out"),
        ("replay = { from = 1 }", "6:10: `after` is missing: add `after = \"10s\"`"),
        ("replay = { after = '0s' }", "6:20: `0s` is no time at all: it must be more than zero"),
        ("replay = { after = '1s', to = 50 }", "6:31: there is no node 50: there are 50, 0 to 49"),
    ] {
        assert_action_told(action, &format!("bad.toml:{first_line}"));
    }
}

#[test]
fn injections_say_who_what_and_of_whom() {
    let stranger = "to = 1, from = '10.9.9.9:80'";
    for (injection, first_line) in [
        ("to = 1, from = 3".to_owned(), "6:10: `kind` is missing: add `kind = \"goodbye\"`"),
        (
            "to = 1, from = 3, kind = 'goodby'".to_owned(),
            "6:37: `goodby` is none of \"goodbye\" or \"tombstone\" or \"record\" or \
             \"generation\" or \"join\" or \"bytes\", did you mean `goodbye`?",
        ),
        (format!("{stranger}, kind = 'goodbye'"), "6:10: a goodbye of whom? Add `of = 3`"),
        (
            "to = 1, from = '10.9.9:80', kind = 'join'".to_owned(),
            "6:27: `10.9.9:80` is neither IP:PORT nor nodes: write such as 10.9.9.9:8000",
        ),
        (
            "to = 1, from = '3..5', kind = 'join'".to_owned(),
            "6:27: one node is meant here, \"3..5\" are 2: \
             write { random = 1, from = \"3..5\" }",
        ),
        (
            "to = 1, from = 3, kind = 'goodbye', generation = '+2'".to_owned(),
            "6:61: `+2` is none of \"+1\" or \"max\", did you mean `+1`?",
        ),
        (
            format!("{stranger}, kind = 'bytes', bytes = '726'"),
            "6:66: these are no bytes in hex: two of 0-9 and a-f each, at most 65507",
        ),
        (
            format!("{stranger}, kind = 'bytes', bytes = '72', of = 3"),
            "6:72: `of` has no place beside `bytes`: leave it out",
        ),
        (
            format!("{stranger}, kind = 'join', bytes = '72'"),
            "6:57: `bytes` goes with `kind = \"bytes\"`: leave it out",
        ),
        (
            "to = 70, from = 3, kind = 'goodbye'".to_owned(),
            "6:17: there is no node 70: there are 50, 0 to 49",
        ),
    ] {
        let action = format!("inject = {{ {injection} }}");
        assert_action_told(&action, &format!("bad.toml:{first_line}"));
    }
}

#[test]
fn pauses_and_clocks_must_make_sense() {
    let paused = "pause = 7\n[[at]]\ntime = '20s'\n";
    for (action, first_line) in [
        (format!("{paused}pause = 7"), "9:9: nothing to pause at 20s: node 7 is paused"),
        (format!("{paused}leave = 7"), "9:9: nothing to leave at 20s: node 7 is paused"),
        (
            format!("{paused}publish = {{ node = 7, data = 'x' }}"),
            "9:20: nothing to publish at 20s: node 7 is paused, `{ random = 1 }` is one that runs",
        ),
        (
            "clock = { nodes = 7 }".to_owned(),
            "6:9: what of the clock? Add one of `offset`, `jump` or `drift`",
        ),
        (
            "clock = { nodes = 7, jump = '1s', drift = '1%' }".to_owned(),
            "6:35: `jump` and `drift`: one change of the clock at a time",
        ),
        (
            "clock = { nodes = 7, jump = '5' }".to_owned(),
            "6:29: `5` is no duration: write a number and a unit, such as 250ms, 1.5s or 2min",
        ),
        (
            "clock = { nodes = 7, drift = '60%' }".to_owned(),
            "6:30: `60%` is too much: a clock drifts by at most 50%",
        ),
    ] {
        assert_action_told(&action, &format!("bad.toml:{first_line}"));
    }
}

/// The first lines of all that is told.
fn heads(error: &str) -> Vec<&str> {
    error.lines().filter(|line| line.starts_with("bad.toml:") || line.starts_with("--")).collect()
}

#[test]
fn all_mistakes_of_a_file_are_told_in_the_order_of_their_lines() {
    let told = error(
        "fanout = 3\nwarmup = '1h'\n[expect]\n'removals.flase' = '== 0'\n'removals.right' = 'x'\n\
         [network]\nlos = '1%'\nloss = '120%'\n[[at]]\ntime = '99s'\ncrush = 7\n\
         [[at]]\ntime = '5s'\nevery = '1s'\nstop = '9..3'\n[groups.a]\nnmae = 'x'\n\
         [[link]]\nbetween = ['a']\nloss = '1%'\n[engine]\ncycel = '1s'\nfan_out = 'x'\n",
    );
    let expected = [
        "bad.toml:4:1: unknown key `fanout`, did you mean `[engine] fan_out`?",
        "bad.toml:5:10: the warm-up 1h leaves nothing of the duration 1m",
        "bad.toml:7:1: unknown measure `removals.flase`, did you mean `removals.false`?",
        "bad.toml:8:20: ",
        "bad.toml:10:1: unknown key `los`, did you mean `loss`?",
        "bad.toml:11:8: `120%` is out of range: it must lie between 0% and 100%",
        "bad.toml:13:8: the time 1m 39s lies beyond the duration 1m",
        "bad.toml:14:1: unknown key `crush`, did you mean `crash`?",
        "bad.toml:17:1: until when? Add `until = \"50s\"` or `count = 3`",
        "bad.toml:18:8: `9..3` is upside down, did you mean `3..9`?",
        "bad.toml:19:1: `nodes` is missing: add `nodes = \"0..25\"`",
        "bad.toml:20:1: unknown key `nmae`, did you mean `name`?",
        "bad.toml:22:11: expected a list of two or more, such as [\"0..25\", \"25..50\"]",
        "bad.toml:25:1: unknown key `cycel`, did you mean `cycle`?",
        "bad.toml:26:11: ",
    ];
    let heads = heads(&told);
    assert_eq!(heads.len(), expected.len(), "{told}");
    for (head, expected) in heads.iter().zip(expected) {
        assert!(head.starts_with(expected), "{head}\n{expected}\n{told}");
    }
    let carets =
        told.lines().filter(|line| line.trim_start().starts_with("| ") && line.contains('^'));
    assert_eq!(carets.count(), heads.len(), "{told}");
}

#[test]
fn of_very_many_mistakes_the_number_is_told() {
    let told = error(&(0..50).map(|number| format!("zz{number} = 1\n")).collect::<String>());
    assert_eq!(heads(&told).len(), 20, "{told}");
    assert!(told.ends_with("\nand 30 more mistakes"), "{told}");
}

#[test]
fn what_only_shows_when_the_run_is_laid_out_is_told_at_once_but_no_consequence_of_it() {
    let told = error(
        "[[at]]\ntime = '5s'\nstop = 99\n[[at]]\ntime = '6s'\nstop = 7\n\
         [[at]]\ntime = '7s'\ncrash = '40..60'\n[[at]]\ntime = '8s'\nstart = 45\n",
    );
    assert_eq!(
        heads(&told),
        [
            "bad.toml:6:8: there is no node 99: there are 50, 0 to 49",
            "bad.toml:12:9: there is no node 59: there are 50, 0 to 49",
        ]
    );
}

#[test]
fn mistakes_of_the_command_line_stand_beside_those_of_the_file() {
    let sets = ["engine.fan_out=0", "nodse=3"].map(|set| Set::parse(set).unwrap());
    let text = head() + "warm_up = '5s'\n";
    let told = parse("bad.toml", &text, &sets).unwrap_err().to_string();
    assert_eq!(heads(&told).len(), 3, "{told}");
    assert!(heads(&told)[0].starts_with("bad.toml:4:1: "), "{told}");
    assert!(heads(&told)[2].starts_with("--set nodse=3: unknown key `nodse`"), "{told}");
}
