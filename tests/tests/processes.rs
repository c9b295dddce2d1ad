//! Clusters of three processes: the `node` example as a person runs it.

mod helpers;

use std::time::Duration;

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
    ] {
        let ended = run(args);
        let error = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {error}");
        assert_eq!((error.lines().count(), ended.stdout.len()), (1, 0), "{error}");
        assert!(error.starts_with("error: ") && error.contains(said), "{error}");
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
