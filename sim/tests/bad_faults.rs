//! What a person can get wrong about groups, links, repetition, pauses and clocks is told with
//! file, line, caret and the fix.

mod told;

use self::told::{assert_action_told, assert_told, error};

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
