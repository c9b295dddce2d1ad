//! Packer: fills packets of one kind, each as full as the path allows.

use super::packet::{Bounded, Packet};

/// What is left of a packet for what it lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room(usize);

impl Room {
    /// The room for lists in a packet of at most so many bytes, of which each says a `P`.
    pub(crate) fn of<P: Bounded>(len_max: usize) -> Self {
        Self(len_max.saturating_sub(Packet::LEN_BARE + P::LEN_BARE))
    }

    /// Takes so many bytes of it, if they are there.
    pub(crate) fn take(&mut self, len: usize) -> bool {
        let left = self.0.checked_sub(len);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }

    /// The same room without so many bytes.
    pub(crate) fn without(self, len: usize) -> Self {
        Self(self.0.saturating_sub(len))
    }

    /// How many of these fit, of which each takes as much as the others.
    pub(crate) fn fits<T: Bounded>(self) -> usize {
        self.0 / T::LEN_BARE
    }
}

/// Pages, each of which says a `P` in a packet of its own.
#[derive(Debug)]
pub(crate) struct Packer<P> {
    empty: P,
    room: Room,
    left: Room,
    pages: Vec<P>,
}

impl<P: Bounded + Clone> Packer<P> {
    /// None yet; each begins like this one, in a packet of at most so many bytes.
    pub(crate) fn new(empty: P, len_max: usize) -> Self {
        let room = Room::of::<P>(len_max);
        Self { empty, room, left: Room(0), pages: Vec::new() }
    }

    /// The room of a page.
    pub(crate) fn room(&self) -> Room {
        self.room
    }

    /// The page for an item of so many bytes, which are taken: the last one, or a new one. What
    /// fits no page has one for itself.
    pub(crate) fn page(&mut self, len: usize) -> &mut P {
        if self.pages.is_empty() || !self.left.take(len) {
            return self.new_page(len);
        }
        self.pages.last_mut().expect("there is one")
    }

    /// Adds pages that list items of which each takes as much as the others, as many as fit.
    pub(crate) fn fill<T: Bounded>(&mut self, mut items: Vec<T>, list: fn(&mut P) -> &mut Vec<T>) {
        while !items.is_empty() {
            let more = items.split_off(items.len().min(self.room.fits::<T>().max(1)));
            let page = self.new_page(items.len() * T::LEN_BARE);
            *list(page) = items;
            items = more;
        }
    }

    fn new_page(&mut self, len: usize) -> &mut P {
        self.pages.push(self.empty.clone());
        self.left = self.room.without(len);
        self.pages.last_mut().expect("one was just pushed")
    }

    /// How many pages there are.
    pub(crate) fn len(&self) -> usize {
        self.pages.len()
    }

    /// All of them.
    pub(crate) fn into_pages(self) -> Vec<P> {
        self.pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::AgeStep;
    use crate::core::beat::RecordId;
    use crate::core::packet::{Body, BucketIds, Pull};

    const LEN_MAX: usize = 200;

    fn ids(count: u32) -> Vec<RecordId> {
        (0..count).map(RecordId).collect()
    }

    fn wanted(count: u32) -> Vec<Pull> {
        let mut packer = Packer::new(Pull { ids: Vec::new() }, LEN_MAX);
        packer.fill(ids(count), |page| &mut page.ids);
        packer.into_pages()
    }

    fn len_max(page: Pull) -> usize {
        Packet::new(AgeStep(1), Body::Pull(page)).len_max()
    }

    #[test]
    fn pages_are_as_full_as_packets_may_be_long_and_leave_nothing_out() {
        assert!(wanted(0).is_empty());
        for count in [1, 46, 47, 92, 100] {
            let pages = wanted(count);
            let listed: Vec<_> = pages.iter().flat_map(|page| page.ids.clone()).collect();
            assert_eq!(listed, ids(count));
            let (last, full) = pages.split_last().unwrap();
            assert!(len_max(last.clone()) <= LEN_MAX);
            for page in full {
                let len = len_max(page.clone());
                assert!(len <= LEN_MAX && len + RecordId::LEN_BARE > LEN_MAX, "{len} bytes");
            }
        }
    }

    #[test]
    fn an_item_that_does_not_fit_the_last_page_begins_the_next() {
        let empty = BucketIds { echo: None, bits: 0, buckets: Vec::new(), ids: Vec::new() };
        let mut packer = Packer::new(empty, LEN_MAX);
        for (bucket, (len, pages)) in
            [(100, 1), (60, 1), (60, 2), (9_999, 3), (1, 4)].iter().enumerate()
        {
            packer.page(*len).buckets.push(bucket as u16);
            assert_eq!(packer.len(), *pages, "bucket {bucket}");
        }
        let pages = packer.into_pages();
        assert_eq!(pages.iter().map(|page| page.buckets.len()).sum::<usize>(), 5);
    }
}
