//! Page window: the pages of a long answer by stream, of which only so many are on their way.
//!
//! The next one goes when something comes back. So the queue of a connection never overflows, a
//! slow node is sent no more than it takes, and nothing else waits behind all of it.

use std::collections::VecDeque;

use crate::core::packet::{Bounded, Compare};

/// What one exchange has to send.
#[derive(Clone, Debug, Default)]
pub(super) struct PageWindow {
    waiting: VecDeque<Compare>,
    /// Bytes of each page that nothing came back for.
    on_the_way: VecDeque<usize>,
}

impl PageWindow {
    /// Most pages that wait: 240 MB of the longest that hold many entries, which is a full store.
    /// The next swap finds the rest.
    const WAITING_MAX: usize = 4_000;

    /// Takes pages in, and tells how many there is no room for.
    pub(super) fn add(&mut self, mut pages: Vec<Compare>) -> usize {
        let room = Self::WAITING_MAX.saturating_sub(self.waiting.len());
        let left_out = pages.len().saturating_sub(room);
        pages.truncate(room);
        self.waiting.extend(pages);
        left_out
    }

    /// Something came back.
    pub(super) fn answered(&mut self) {
        self.on_the_way.pop_front();
    }

    /// The next page that may go, if so many bytes may be on their way; one always may.
    pub(super) fn next(&mut self, bytes_max: usize) -> Option<Compare> {
        let len = self.waiting.front()?.len_max();
        let sum: usize = self.on_the_way.iter().sum();
        if sum > 0 && sum + len > bytes_max {
            return None;
        }
        self.on_the_way.push_back(len);
        self.waiting.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
