//! Packets that were held back, and clocks that are wrong, go back or are set.

use super::*;

const YEAR: i64 = 365 * 86_400;

/// A packet on its way, and whether the answers to it are.
fn exchange(from: &mut Guard, to: &mut Guard, seconds: i64) -> Result<(), Reject> {
    let datagram = sealed(from, seconds);
    let outcome = open(to, seconds, &datagram);
    let (mut by, mut other) = (to, from);
    let mut answers = 0;
    while let Some(answer) = answered(by, seconds) {
        answers += 1;
        assert!(answers <= 2, "answers to answers have an end");
        let told = open(other, seconds, &answer).unwrap_err();
        assert!(matches!(told, Reject::ClockDiffers | Reject::Outdated), "{told:?}");
        (by, other) = (other, by);
    }
    // As a driver does before it sends.
    for (guard, random) in [(by, seconds), (other, -seconds - 1)] {
        if is_distrusted(guard) {
            guard.renew(at(seconds), random.to_le_bytes());
        }
    }
    outcome
}

fn is_distrusted(guard: &mut Guard) -> bool {
    matches!(seal_of(guard).trust, Trust::Gone)
}

/// What a guard answers to the last datagram.
fn answered(guard: &mut Guard, seconds: i64) -> Option<Vec<u8>> {
    let answer = guard.take_answer()?;
    let mut datagram = Vec::new();
    guard.encode_answer(at(seconds), &answer, &mut datagram);
    Some(datagram)
}

#[test]
fn a_packet_that_was_held_back_is_refused_whether_or_not_newer_ones_were_heard() {
    let (mut a, mut b, mut c) = (guard(1, 0), guard(2, 0), guard(3, 0));
    for receiver in [&mut b, &mut c] {
        open(receiver, 0, &sealed(&mut a, 0)).unwrap();
    }
    let held_back: Vec<_> = (0..4).map(|_| sealed(&mut a, 1)).collect();
    open(&mut b, 11, &sealed(&mut a, 11)).unwrap();
    assert_eq!(open(&mut b, 11, &held_back[0]), Ok(()), "overtaken by ten seconds");
    open(&mut b, 12, &sealed(&mut a, 12)).unwrap();
    assert_eq!(open(&mut b, 12, &held_back[1]), Err(Reject::Outdated), "by eleven");
    open(&mut b, 2_001, &sealed(&mut a, 2_001)).unwrap();
    assert_eq!(open(&mut b, 2_001, &held_back[1]), Err(Reject::Outdated));
    // The other one heard nothing newer.
    assert_eq!(open(&mut c, 61, &held_back[2]), Ok(()));
    assert_eq!(open(&mut c, 62, &held_back[3]), Err(Reject::Untimely));
    assert_eq!(open(&mut c, 2_001, &held_back[3]), Err(Reject::Untimely));
    open(&mut c, 2_001, &sealed(&mut a, 2_001)).unwrap();
}

#[test]
fn what_is_doubled_on_its_way_is_no_replay_and_what_comes_again_much_later_is() {
    let (mut a, mut b) = (guard(1, 0), guard(2, 0));
    let datagram = sealed(&mut a, 0);
    open(&mut b, 0, &datagram).unwrap();
    assert_eq!(open(&mut b, 5, &datagram), Err(Reject::Duplicate));
    assert_eq!(answered(&mut b, 5), None, "to what came twice nothing is to be said");
    open(&mut b, 11, &sealed(&mut a, 11)).unwrap();
    assert_eq!(open(&mut b, 11, &datagram), Err(Reject::Replayed));
    let last = sealed(&mut a, 12);
    open(&mut b, 12, &last).unwrap();
    assert_eq!(open(&mut b, 73, &last), Err(Reject::Replayed), "by a silent sender");
}

#[test]
fn a_node_that_restarts_with_its_clock_set_back_is_heard_after_one_exchange() {
    for back in [1, 30, 600, YEAR] {
        let (mut b, mut former) = (guard(2, 0), guard(1, 0));
        open(&mut b, 100, &sealed(&mut former, 100)).unwrap();
        // The former run began an epoch moments ago.
        former.renew(at(100), [7; 8]);
        open(&mut b, 100, &sealed(&mut former, 100)).unwrap();
        let mut latter = guard_with_clock(1, 101, START + (101 - back) * SECOND);
        let first = exchange(&mut latter, &mut b, 101);
        let expected = if back > 10 { Err(Reject::ClockBack) } else { Ok(()) };
        assert_eq!(first, expected, "set back by {back} s");
        assert_eq!(exchange(&mut latter, &mut b, 101), Ok(()), "set back by {back} s");
        assert_eq!(exchange(&mut b, &mut latter, 101), Ok(()), "set back by {back} s");
        let held_back = sealed(&mut former, 102);
        assert_eq!(open(&mut b, 114, &sealed(&mut latter, 114)), Ok(()));
        assert_eq!(open(&mut b, 114, &held_back), Err(Reject::ClockBack));
    }
}

#[test]
fn the_side_whose_clock_is_wrong_is_told_so_and_so_is_the_other() {
    let (mut b, mut a) = (guard(2, 0), guard_with_clock(1, 0, START - 61 * SECOND));
    let datagram = sealed(&mut a, 0);
    assert_eq!(open(&mut b, 0, &datagram), Err(Reject::Untimely));
    let answer = answered(&mut b, 0).expect("a node with the secret is told");
    assert_eq!(answered(&mut b, 0), None, "once");
    assert_eq!(open(&mut a, 0, &answer), Err(Reject::ClockDiffers));
    for reason in [Reject::Untimely, Reject::ClockBack, Reject::ClockDiffers] {
        assert!(reason.to_string().contains("compare the clocks"), "{reason}");
    }
}

#[test]
fn a_stranger_is_answered_nothing() {
    let late = config("another", "blue");
    let now = Now { wall: UnixNanos(0), ..at(0) };
    let mut stranger = Guard::new(&late, &Run { now, ..run(1, 0) });
    let mut b = guard(2, 0);
    let datagram = sealed(&mut stranger, 0);
    assert_eq!(open(&mut b, 0, &datagram), Err(Reject::UnknownKey));
    assert_eq!(answered(&mut b, 0), None);
    let mut member = guard_with_clock(1, 0, 0);
    let mut damaged = sealed(&mut member, 0);
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(open(&mut b, 0, &damaged), Err(Reject::BadSeal));
    assert_eq!(answered(&mut b, 0), None);
}

#[test]
fn an_answer_can_not_be_played_back() {
    let behind = |node, random| {
        let now = Now { wall: UnixNanos(START - 600 * SECOND), ..at(0) };
        let run = Run { addr: run(node, 0).addr, random: [random; 8], now };
        Guard::new(&config("secret", "blue"), &run)
    };
    let (mut b, mut a) = (guard(2, 0), behind(1, 1));
    assert_eq!(open(&mut b, 0, &sealed(&mut a, 0)), Err(Reject::Untimely));
    let answer = answered(&mut b, 0).unwrap();
    let time = |guard: &mut Guard| seal_of(guard).clock.at(at(20).mono);
    // Late, to another node, and to another run of the same.
    let (mut another, mut later) = (behind(3, 1), behind(1, 2));
    seal_of(&mut another).epoch.start += 1;
    for (to, seconds) in [(&mut a, 11), (&mut another, 0), (&mut later, 0)] {
        let before = time(to);
        assert_eq!(open(to, seconds, &answer), Err(Reject::Outdated));
        assert_eq!(time(to), before);
        assert!(!is_distrusted(to));
    }
    let mut in_time = behind(1, 1);
    assert_eq!(open(&mut in_time, 10, &answer), Err(Reject::ClockDiffers));
    assert!(time(&mut in_time) > time(&mut behind(1, 1)));
    assert!(is_distrusted(&mut in_time));
}

#[test]
fn old_packets_played_back_draw_only_so_many_answers() {
    let (mut a, mut b) = (guard(1, 0), guard(2, 0));
    let old: Vec<_> = (0..100).map(|_| sealed(&mut a, 0)).collect();
    open(&mut b, 1_000, &sealed(&mut a, 1_000)).unwrap();
    let mut answers_in = |seconds: i64| {
        let taken = old.iter().filter(|&packet| {
            open(&mut b, seconds, packet).unwrap_err();
            answered(&mut b, seconds).is_some()
        });
        taken.count()
    };
    assert_eq!(answers_in(1_000), NOTICES_MAX);
    assert_eq!(answers_in(1_001), NOTICES_MAX);
}

#[test]
fn a_sender_that_was_forgotten_and_is_heard_again_brings_nothing_twice() {
    let (mut a, mut b) = (guard(1, 0), guard(99, 0));
    let before: Vec<_> = (0..5).map(|_| sealed(&mut a, 1)).collect();
    for datagram in &before {
        open(&mut b, 1, datagram).unwrap();
    }
    for node in 2..=4 {
        open(&mut b, 3, &sealed(&mut guard(node, 2), 3)).unwrap();
    }
    open(&mut b, 5, &sealed(&mut a, 5)).unwrap();
    for datagram in &before {
        assert_eq!(open(&mut b, 5, datagram), Err(Reject::Untimely));
    }
}

/// Any time that a clock may show. Two that are near differ by clearly less or more than the bound:
/// next to it the delay of a packet decides, and the first of those that take longer is refused.
fn wall() -> impl Strategy<Value = i64> {
    let near = (-5..=5_i64).prop_map(|steps| START + steps * 40 * SECOND);
    let years = (-60..60_i64).prop_map(|years| START + years * YEAR * SECOND);
    prop_oneof![near, years, Just(0), Just(i64::MIN), Just(i64::MAX), Just(1 << 62)]
}

/// What happens on the way from one node to another.
#[derive(Clone, Debug)]
enum Step {
    Send { delay: i64 },
    Wait(i64),
    SetClock { node: usize, wall: i64 },
    Renew,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_i64).prop_map(|delay| Step::Send { delay }),
        2 => (0..4_i64).prop_map(Step::Wait),
        1 => (800..3_000_i64).prop_map(Step::Wait),
        1 => (0..2_usize, wall()).prop_map(|(node, wall)| Step::SetClock { node, wall }),
        1 => Just(Step::Renew),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_two_clocks_meet_in_one_exchange(walls in (wall(), wall()), pause in 0..100_i64) {
        let mut a = guard_with_clock(1, 0, walls.0);
        let mut b = guard_with_clock(2, 0, walls.1);
        let _ = exchange(&mut a, &mut b, pause);
        prop_assert_eq!(exchange(&mut a, &mut b, pause), Ok(()));
        prop_assert_eq!(exchange(&mut b, &mut a, pause), Ok(()));
        prop_assert_eq!(exchange(&mut a, &mut b, pause), Ok(()));
    }

    #[test]
    fn no_honest_packet_is_refused_however_the_wall_clocks_are_set(
        walls in (wall(), wall()),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut guards = [guard_with_clock(1, 0, walls.0), guard_with_clock(2, 0, walls.1)];
        let [a, b] = &mut guards;
        let _ = exchange(a, b, 0);
        let (mut seconds, mut walls) = (0, [walls.0, walls.1]);
        let mut flying: Vec<(i64, Vec<u8>)> = Vec::new();
        for (place, step) in (0_u64..).zip(steps) {
            match step {
                Step::Wait(more) => seconds += more,
                Step::SetClock { node, wall } => (walls[node], seconds) = (wall, seconds + 2),
                Step::Renew => {
                    a.distrust();
                    seconds += 2;
                }
                Step::Send { delay } => {
                    let now = Now { wall: UnixNanos(walls[0]), ..at(seconds) };
                    if a.wants_random(now) {
                        a.renew(now, place.to_le_bytes());
                    }
                    flying.push((seconds + delay, sealed(a, seconds)));
                }
            }
            // Each arrives at its time, a later one before an earlier one.
            flying.sort_by_key(|&(when, _)| when);
            while flying.first().is_some_and(|&(when, _)| when <= seconds) {
                let (when, mut datagram) = flying.remove(0);
                let now = Now { wall: UnixNanos(walls[1]), ..at(when) };
                prop_assert_eq!(b.decode(now, &mut datagram), Ok(last_call()), "at {} s", when);
            }
        }
    }

    #[test]
    fn no_packet_is_taken_that_was_held_back_for_longer_than_the_bound(
        ahead in 0..=60_i64,
        steps in prop::collection::vec((0..40_i64, 0..400_i64, any::<bool>()), 1..40),
    ) {
        let (mut a, mut b) = (guard_with_clock(1, 0, START + ahead * SECOND), guard(2, 0));
        let mut flying = Vec::new();
        let mut seconds = 0;
        for (pause, delay, renews) in steps {
            seconds += pause;
            if renews {
                a.renew(at(seconds), (seconds as u64).to_le_bytes());
            }
            flying.push((seconds + delay, seconds, sealed(&mut a, seconds)));
        }
        flying.sort();
        let mut newest = 0;
        for (now, sent, datagram) in flying {
            if open(&mut b, now, &datagram).is_ok() {
                prop_assert!(now - sent <= 60 + ahead, "sent at {}, taken at {}", sent, now);
                prop_assert!(newest - sent <= 10, "{} was heard before {}", newest, sent);
                newest = newest.max(sent);
            } else {
                prop_assert!(now - sent > 60 - ahead || newest > sent, "{} at {}", sent, now);
            }
            prop_assert!(open(&mut b, now, &datagram).is_err(), "twice");
        }
    }
}
