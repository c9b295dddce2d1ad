//! Clusters of three processes: the `node` example as a person runs it.

mod helpers;

use std::time::Duration;

use rumormill::text::find_unprintable;
use tokio::time::Instant;

use helpers::process::{Process, run};

const SHORT: [&str; 4] = ["--cycle", "200ms", "--timeout", "1s"];

fn start(args: &[&str]) -> Process {
    Process::start(&[&SHORT[..], args].concat())
}

#[test]
fn three_processes_list_each_other_and_agree_and_miss_the_one_that_was_killed() {
    let mut a = start(&["--name", "A"]);
    let seed = a.addr.clone();
    let mut b = start(&["--join", &seed, "--name", "B"]);
    let mut c = start(&["--join", &seed, "--name", "C"]);
    for (node, others) in [
        (&mut a, [format!("{} B", b.addr), format!("{} C", c.addr)]),
        (&mut c, [format!("{seed} A"), format!("{} B", b.addr)]),
    ] {
        for other in others {
            node.wait_for_line(&format!("joined {other}"));
        }
    }
    b.wait_for_line(&format!("joined {} C", c.addr));

    a.type_line("typed on A");
    for node in [&mut a, &mut b, &mut c] {
        node.wait_for_line(&format!("metadata typed on A from {seed}"));
    }

    let killed = b.addr.clone();
    let start = Instant::now();
    b.kill();
    for node in [&mut a, &mut c] {
        node.wait_for_line(&format!("removed {killed} B (timeout)"));
    }
    // Timeout and a cycle, and what a busy machine may add.
    assert!(start.elapsed() <= Duration::from_millis(1_200 + 500), "{:?}", start.elapsed());
}

#[test]
fn the_console_lines_are_those_of_pekonode_to_the_byte() {
    let mut a = start(&["--name", "A", "--data", "zone=1", "--print"]);
    let mut b = start(&["--join", &a.addr, "--name", "B", "--print"]);
    let (at_a, at_b) = (a.addr.clone(), b.addr.clone());
    let shown = |addr: &str, rest: &str| format!("{{{} {rest}}}", addr.replace(':', " "));
    let (node_a, node_b) = (shown(&at_a, "A zone=1"), shown(&at_b, "B "));
    let port = |addr: &str| addr.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    let mut both = [node_a.as_str(), &node_b];
    if port(&at_a) > port(&at_b) {
        both.reverse();
    }
    let list = both.join(" ");
    a.type_line("hi");
    for line in [
        format!("[[Join]: {node_a}]"),
        format!("[[Listen]: {at_a} / [Node list]: [{node_a}]]"),
        format!("[[Listen]: {at_a} / [Node list]: [{list}]]"),
        format!("[[Publish]: {node_a} / [Metadata]: [104 105]]"),
        format!("[[Swap Request]: {at_a} -> {at_b}]"),
        format!("[[Swap Response]: {at_b} <- {at_a}]"),
    ] {
        let said = a.wait_for(&line, |said| said.ends_with(&format!(" {line}")));
        let date: String =
            said.chars().take(20).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(date, "0000/00/00 00:00:00 ", "{said}");
        assert_eq!(said.len(), 20 + line.len(), "{said}");
    }
    b.wait_for("its own", |said| said.ends_with(&format!("[[Join]: {node_b}]")));
}

#[cfg(unix)]
#[test]
fn ctrl_c_says_goodbye_and_the_end_of_the_input_does_not() {
    let mut a = start(&["--name", "A"]);
    let mut b = start(&["--join", &a.addr, "--name", "B", "--publish", "hello"]);
    let left = b.addr.clone();
    b.close_input();
    a.wait_for_line(&format!("metadata hello from {left}"));
    // It still publishes nothing and says nothing, but it is there: it hears of others.
    a.type_line("anyone?");
    b.wait_for_line(&format!("metadata anyone? from {}", a.addr));
    a.type_line("red: \u{1b}[31m \u{9b}2J");
    b.wait_for_line(&format!(r"metadata red: \u{{1b}}[31m \u{{9b}}2J from {}", a.addr));
    assert!(b.interrupt().success());
    a.wait_for_line(&format!("removed {left} B (left)"));
}

#[test]
fn a_wrong_command_is_refused_in_one_line_with_code_2() {
    for (args, said) in [
        (&["--jion", "x"][..], "'--join'"),
        (&["--join", "nowhere"], "HOST:PORT"),
        (&["--listen", "here"], "IP:PORT"),
        (&["--cycle", "1"], "250ms"),
        (&["--timeout", "1s"], "2 cycles"),
        (&["--fan-out", "0"], "fan_out"),
        (&["--name", "A\u{1b}[2J\nB"], r"U+001B at byte 1 of `A\u{1b}[2J\nB`"),
        (&["--data", "zone=\u{9b}31m"], "the private data of a node has U+009B at byte 5"),
        (&["--join", "no\u{1b}where\n:1"], r"`no\u{1b}where\n:1`"),
        (&["--\u{9b}2J"], r"'--\u{9b}2J'"),
    ] {
        let ended = run(args);
        let error = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {error}");
        assert_eq!((error.lines().count(), ended.stdout.len()), (1, 0), "{error}");
        assert!(error.starts_with("error: ") && error.contains(said), "{error}");
        assert_eq!(find_unprintable(error.trim_end()), None, "{error:?}");
    }
}

#[test]
fn a_port_in_use_is_a_failure_in_one_line_with_code_1() {
    let first = start(&[]);
    let ended = run(&["--listen", &first.addr]);
    let error = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(&first.addr) && error.contains("port is in use"), "{error}");
}
