//! The calendar queue: events come out in exact order of time, then of their push.
//!
//! Near events lie in a ring of buckets by time, unsorted until their bucket is opened; far ones
//! in an ordered map of buckets, from which they move into the ring as it turns. What is pushed
//! into the open bucket (or before it) waits in a small heap beside it. It knows nothing of what
//! the events mean.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use rumormill::time::Instant;

/// A bucket spans 2^17 ns (131 us), the ring 8,192 of them (1.07 s): a cluster's packets fly for
/// less, and most wake-ups are nearer than a cycle.
const BUCKET_BITS: u32 = 17;
const RING: u64 = 8_192;
const WORDS: usize = (RING / 64) as usize;

/// Events in order of time, then of push.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    ring: Vec<Vec<QueueEntry<E>>>,
    /// One bit for each bucket of the ring that holds something.
    occupied: [u64; WORDS],
    /// Buckets beyond the ring, by number.
    far: BTreeMap<u64, Vec<QueueEntry<E>>>,
    /// The open bucket, the earliest entry last.
    open: Vec<QueueEntry<E>>,
    /// What was pushed into the open bucket or before it.
    late: BinaryHeap<Reverse<QueueEntry<E>>>,
    /// What was looked at already and lies before all of the above but what came since, the
    /// earliest entry first.
    ahead: VecDeque<QueueEntry<E>>,
    /// The number of the open bucket. The ring holds those after it, up to `RING - 1` further.
    cursor: u64,
    pushed: u64,
    len: usize,
    len_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct QueueEntry<E> {
    at: Instant,
    sequence: u64,
    event: E,
}

impl<E: Copy> Queue<E> {
    pub(crate) fn new() -> Self {
        Self {
            ring: (0..RING).map(|_| Vec::new()).collect(),
            occupied: [0; WORDS],
            far: BTreeMap::new(),
            open: Vec::new(),
            late: BinaryHeap::new(),
            ahead: VecDeque::new(),
            cursor: 0,
            pushed: 0,
            len: 0,
            len_max: 0,
        }
    }

    /// The most that ever waited.
    pub(crate) fn len_max(&self) -> usize {
        self.len_max
    }

    pub(crate) fn push(&mut self, at: Instant, event: E) {
        const { assert!(size_of::<QueueEntry<E>>() <= 32, "events must stay small") };
        let entry = QueueEntry { at, sequence: self.pushed, event };
        self.pushed += 1;
        self.len += 1;
        self.len_max = self.len_max.max(self.len);
        let bucket = bucket(at);
        if bucket <= self.cursor {
            self.late.push(Reverse(entry));
        } else if bucket < self.cursor + RING {
            self.put_near(bucket, entry);
        } else {
            self.far.entry(bucket).or_default().push(entry);
        }
    }

    /// Takes the next event out, unless it lies after `end`.
    pub(crate) fn pop_until(&mut self, end: Instant) -> Option<(Instant, E)> {
        let next = self.take_until(end)?;
        self.len -= 1;
        Some((next.at, next.event))
    }

    fn take_until(&mut self, end: Instant) -> Option<QueueEntry<E>> {
        if self.ahead.is_empty() && self.open.is_empty() && self.late.is_empty() {
            self.open_next(end)?;
        }
        let sorted = self.ahead.front().or(self.open.last());
        let late = self.late.peek().map(|late| &late.0);
        let late_is_first = late.is_some_and(|late| sorted.is_none_or(|sorted| late < sorted));
        let next = if late_is_first { late } else { sorted };
        let next = next.copied().filter(|next| next.at <= end)?;
        if late_is_first {
            self.late.pop();
        } else if self.ahead.pop_front().is_none() {
            self.open.pop();
        }
        Some(next)
    }

    /// Looks at what comes next, which is popped as if nobody had looked: all that lies less than
    /// `span` behind the first event and not after `end`, up to the first that is a border, and at
    /// most `max` events. Whatever else waits now comes behind these, and not before the time that
    /// is returned.
    pub(crate) fn look_ahead(
        &mut self,
        end: Instant,
        span: Duration,
        max: usize,
        is_border: impl Fn(&E) -> bool,
    ) -> Instant {
        const TICK: Duration = Duration::from_nanos(1);
        let mut ahead = std::mem::take(&mut self.ahead);
        assert!(ahead.is_empty(), "what was looked at is popped before the next look");
        let mut horizon = end + TICK;
        while let Some(entry) = self.take_until(horizon.saturating_sub(TICK)) {
            if ahead.is_empty() {
                horizon = horizon.min(entry.at + span);
            }
            ahead.push_back(entry);
            if is_border(&entry.event) || ahead.len() == max {
                horizon = entry.at;
                break;
            }
        }
        self.ahead = ahead;
        horizon
    }

    /// What was looked at and is not popped yet, in order.
    pub(crate) fn ahead(&self) -> impl ExactSizeIterator<Item = (Instant, E)> + '_ {
        self.ahead.iter().map(|entry| (entry.at, entry.event))
    }

    /// All that waits, in no particular order.
    pub(crate) fn drain(mut self) -> impl Iterator<Item = E> {
        let near = std::mem::take(&mut self.ring).into_iter().flatten();
        let far = std::mem::take(&mut self.far).into_values().flatten();
        let late = std::mem::take(&mut self.late).into_iter().map(|late| late.0);
        let ahead = std::mem::take(&mut self.ahead);
        near.chain(far).chain(late).chain(self.open).chain(ahead).map(|entry| entry.event)
    }

    /// Opens the next bucket that holds something; `None` when it begins after `end`.
    fn open_next(&mut self, end: Instant) -> Option<()> {
        let near = self.next_near();
        let next = near.or_else(|| self.far.keys().next().copied())?;
        if next > bucket(end) {
            return None;
        }
        self.cursor = next;
        self.move_near();
        let slot = (next % RING) as usize;
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        // The emptied vector takes the bucket's place, so that its memory goes round.
        std::mem::swap(&mut self.open, &mut self.ring[slot]);
        self.open.sort_unstable_by(|a, b| b.cmp(a));
        Some(())
    }

    /// The number of the first bucket of the ring that holds something. Every far bucket lies
    /// behind all of them.
    fn next_near(&self) -> Option<u64> {
        let first = (self.cursor + 1) % RING;
        let word = |index: usize| self.occupied[index % WORDS];
        let (start, skip) = ((first / 64) as usize, first % 64);
        let slot_in = |index: usize, bits: u64| {
            let slot = (index % WORDS) as u64 * 64 + u64::from(bits.trailing_zeros());
            self.cursor + 1 + (slot + RING - first) % RING
        };
        let behind_skip = word(start) >> skip << skip;
        if behind_skip != 0 {
            return Some(slot_in(start, behind_skip));
        }
        (start + 1..=start + WORDS)
            .find(|&index| word(index) != 0)
            .map(|index| slot_in(index, word(index)))
    }

    /// Moves far buckets that the turned ring now covers into it.
    fn move_near(&mut self) {
        while let Some(first) = self.far.first_entry() {
            let bucket = *first.key();
            if bucket >= self.cursor + RING {
                break;
            }
            let entries = first.remove();
            entries.into_iter().for_each(|entry| self.put_near(bucket, entry));
        }
    }

    fn put_near(&mut self, bucket: u64, entry: QueueEntry<E>) {
        let slot = (bucket % RING) as usize;
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.ring[slot].push(entry);
    }
}

fn bucket(at: Instant) -> u64 {
    at.as_nanos() >> BUCKET_BITS
}

impl<E> Ord for QueueEntry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl<E> PartialOrd for QueueEntry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for QueueEntry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for QueueEntry<E> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const END: Instant = Instant::from_nanos(u64::MAX);

    fn nanos(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }

    #[test]
    fn equal_times_come_out_in_order_of_their_push() {
        let mut queue = Queue::new();
        for event in 0..100_u32 {
            queue.push(Instant::from_nanos(u64::from(event % 3) << 20), event);
        }
        let out: Vec<_> = std::iter::from_fn(|| queue.pop_until(END)).map(|(_, e)| e).collect();
        let mut sorted: Vec<_> = (0..100).collect();
        sorted.sort_by_key(|event| event % 3);
        assert_eq!(out, sorted);
    }

    #[test]
    fn nothing_comes_out_after_the_end_and_it_stays() {
        let mut queue = Queue::new();
        queue.push(Instant::from_nanos(2_000_000_000), 'b');
        queue.push(Instant::from_nanos(5), 'a');
        let end = Instant::from_nanos(1_999_999_999);
        assert_eq!(queue.pop_until(end).map(|(_, event)| event), Some('a'));
        assert_eq!(queue.pop_until(end), None);
        queue.push(Instant::from_nanos(1_000_000_000), 'c');
        assert_eq!(queue.pop_until(end).map(|(_, event)| event), Some('c'));
        assert_eq!((queue.len, queue.len_max()), (1, 2));
        assert_eq!(queue.drain().collect::<String>(), "b");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { ahead: u64 },
        Pop,
        Look { span: u64, max: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        // Into the open bucket, near it, around the ring's end, and far beyond it.
        let horizon = RING << BUCKET_BITS;
        let ahead = prop_oneof![
            Just(0_u64),
            0_u64..1 << BUCKET_BITS,
            0_u64..20_000_000,
            horizon - 1_000_000..horizon + 1_000_000,
            0_u64..100 * horizon,
        ];
        let look = (0_u64..20_000_000, 1_usize..9);
        prop_oneof![
            6 => ahead.prop_map(|ahead| Step::Push { ahead }),
            4 => Just(Step::Pop),
            1 => look.prop_map(|(span, max)| Step::Look { span, max }),
        ]
    }

    proptest! {
        #[test]
        fn events_come_out_as_from_a_heap(
            steps in prop::collection::vec(step(), 0..300),
            patience in 0_u64..1 << 36,
        ) {
            let mut queue = Queue::new();
            let mut heap = BinaryHeap::new();
            let mut now = 0;
            let pop = |queue: &mut Queue<u32>, heap: &mut BinaryHeap<_>, end: u64, now: &mut u64| {
                let due = heap.peek().is_some_and(|&Reverse((at, _))| at <= end);
                let want = due.then(|| heap.pop().unwrap().0);
                let got = queue.pop_until(Instant::from_nanos(end));
                assert_eq!(got.map(|(at, event)| (at.as_nanos(), event)), want);
                *now = want.map_or(*now, |(at, _)| at);
                want.is_some()
            };
            for (number, step) in (0_u32..).zip(steps) {
                match step {
                    Step::Push { ahead } => {
                        queue.push(Instant::from_nanos(now + ahead), number);
                        heap.push(Reverse((now + ahead, number)));
                    }
                    Step::Pop => {
                        let end = now + patience;
                        pop(&mut queue, &mut heap, end, &mut now);
                    }
                    Step::Look { .. } if queue.ahead().len() > 0 => {}
                    Step::Look { span, max } => {
                        let (end, within) = (Instant::from_nanos(now + patience), nanos(span));
                        let horizon = queue.look_ahead(end, within, max, |event| event % 7 == 0);
                        let mut sorted = heap.clone().into_sorted_vec();
                        sorted.reverse();
                        let seen = queue.ahead().map(|(at, it)| (at.as_nanos(), it));
                        let seen: Vec<_> = seen.collect();
                        let (first, behind) = sorted.split_at(seen.len());
                        prop_assert!(first.iter().map(|it| it.0).eq(seen.iter().copied()));
                        let last = Reverse((horizon.as_nanos(), 0));
                        prop_assert!(behind.iter().all(|it| it <= &last));
                        let borders = seen.iter().filter(|(_, event)| event % 7 == 0).count();
                        prop_assert!(borders <= 1 && seen.len() <= max);
                        let behind_end = now + patience + 1;
                        let expected = match (seen.first(), seen.last()) {
                            (_, Some(&(last, _))) if borders == 1 || seen.len() == max => last,
                            (Some(&(first, _)), _) => behind_end.min(first + span),
                            _ => behind_end,
                        };
                        prop_assert_eq!(horizon.as_nanos(), expected);
                    }
                }
                prop_assert_eq!(queue.len, heap.len());
            }
            while pop(&mut queue, &mut heap, u64::MAX, &mut now) {}
            prop_assert_eq!(queue.len, 0);
        }
    }
}
