//! A machine that is copied while it runs, or set back to a snapshot.

use super::*;

/// The same machine twice, at the same place of its life.
fn copies() -> [Guard; 2] {
    let mut copies = [guard(1, 0), guard(1, 0)];
    for copy in &mut copies {
        sealed(copy, 5);
    }
    copies
}

/// What a node seals at that time, at which its wall clock shows another one.
fn sealed_at(guard: &mut Guard, seconds: i64, wall_ahead: i64, random: u8) -> Vec<u8> {
    let now = Now { wall: UnixNanos(START + (seconds + wall_ahead) * SECOND), ..at(seconds) };
    if guard.wants_random(now) {
        guard.renew(now, [random; 8]);
    }
    let mut out = Vec::new();
    guard.encode(now, &last_call(), &mut out);
    out
}

/// The bytes that stand for the packet: equal for equal packets under one key and nonce.
fn body(datagram: &[u8]) -> &[u8] {
    &datagram[Header::LEN..datagram.len() - TAG_LEN]
}

#[test]
fn a_copied_machine_seals_under_another_key_once_its_clocks_have_come_apart() {
    let [mut one, mut two] = copies();
    let same = [sealed_at(&mut one, 6, 0, 1), sealed_at(&mut two, 6, 1, 2)];
    assert_eq!(body(&same[0]), body(&same[1]), "no sign of it yet");
    let apart = [sealed_at(&mut one, 7, 0, 1), sealed_at(&mut two, 7, 3, 2)];
    assert_ne!(body(&apart[0]), body(&apart[1]));
    // Both, where both saw a gap.
    let [mut one, mut two] = copies();
    let apart = [sealed_at(&mut one, 7, -2, 1), sealed_at(&mut two, 7, -2, 2)];
    assert_ne!(body(&apart[0]), body(&apart[1]));
}

#[test]
fn a_copied_machine_seals_under_another_key_after_ten_minutes_at_the_latest() {
    let [mut one, mut two] = copies();
    let same = [sealed_at(&mut one, 599, 0, 1), sealed_at(&mut two, 599, 0, 2)];
    assert_eq!(body(&same[0]), body(&same[1]), "no sign of it yet");
    let apart = [sealed_at(&mut one, 600, 0, 1), sealed_at(&mut two, 600, 0, 2)];
    assert_ne!(body(&apart[0]), body(&apart[1]));
}

#[test]
fn a_machine_that_slept_seals_under_another_key() {
    let [mut one, mut two] = copies();
    one.distrust();
    let apart = [sealed_at(&mut one, 6, 0, 1), sealed_at(&mut two, 6, 0, 2)];
    assert_ne!(body(&apart[0]), body(&apart[1]));
}

#[test]
fn a_new_key_costs_no_packet_that_is_on_its_way() {
    let (mut a, mut b) = (guard(1, 0), guard(2, 0));
    open(&mut b, 0, &sealed(&mut a, 0)).unwrap();
    let overtaken: Vec<_> = (0..3).map(|_| sealed(&mut a, 1)).collect();
    a.renew(at(1), [9; 8]);
    open(&mut b, 1, &sealed(&mut a, 1)).unwrap();
    assert_eq!(open(&mut b, 2, &overtaken[0]), Ok(()));
    assert_eq!(open(&mut b, 2, &overtaken[0]), Err(Reject::Duplicate));
    open(&mut b, 10, &sealed(&mut a, 10)).unwrap();
    assert_eq!(open(&mut b, 10, &overtaken[1]), Ok(()));
    open(&mut b, 12, &sealed(&mut a, 12)).unwrap();
    assert_eq!(open(&mut b, 12, &overtaken[2]), Err(Reject::ClockBack));
}

#[test]
fn what_comes_back_to_its_sender_is_refused_though_its_key_has_changed() {
    let mut a = guard(1, 0);
    let datagram = sealed(&mut a, 0);
    a.renew(at(0), [9; 8]);
    assert_eq!(open(&mut a, 0, &datagram), Err(Reject::Replayed));
    assert_eq!(open(&mut a, 0, &sealed(&mut guard(1, 0), 0)), Err(Reject::Replayed));
}

#[test]
fn a_machine_that_was_set_back_to_a_snapshot_is_heard_after_one_exchange() {
    let (mut snapshot, mut a, mut b) = (guard(1, 0), guard(1, 0), guard(2, 0));
    for seconds in 1..1_000 {
        let datagram = sealed(&mut a, seconds);
        open(&mut b, seconds, &datagram).unwrap();
    }
    // It goes on at the second 1 000 with clocks that show the first.
    let again = sealed(&mut snapshot, 1);
    assert_eq!(open(&mut b, 1_000, &again), Err(Reject::Replayed));
    let answer = b.take_answer().expect("it is told");
    let mut datagram = Vec::new();
    b.encode_answer(at(1_000), &answer, &mut datagram);
    assert_eq!(open(&mut snapshot, 1, &datagram), Err(Reject::ClockDiffers));
    assert!(snapshot.wants_random(at(1)));
    snapshot.renew(at(1), [9; 8]);
    assert_eq!(open(&mut b, 1_000, &sealed(&mut snapshot, 1)), Ok(()));
}

#[test]
fn of_more_epochs_than_are_remembered_nothing_is_taken_twice() {
    let (mut a, mut b) = (guard(1, 0), guard(2, 0));
    let mut taken = Vec::new();
    for random in 0..20 {
        a.renew(at(1), [random; 8]);
        let datagram = sealed(&mut a, 1);
        open(&mut b, 1, &datagram).unwrap_or_else(|_| assert!(random > 7));
        taken.push(datagram);
    }
    for datagram in &taken {
        assert!(open(&mut b, 1, datagram).is_err());
    }
    assert_eq!(open(&mut b, 2, &sealed(&mut a, 2)), Ok(()));
}
