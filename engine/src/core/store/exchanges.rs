//! Exchanges: what two nodes that hold different entries say to each other until they don't.
//!
//! Whoever finds in a swap that another holds something else begins one. A few differences are
//! found and mended by datagrams; where much differs it goes by stream, page by page as the other
//! takes them, and from one node at a time. Only members are heard: to compare takes looks at all
//! that is held.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::Store;
use super::page_window::PageWindow;
use crate::core::context::{Context, Source};
use crate::core::entries::{Differences, Exchange, ExchangeAnswer, ExchangePath, Merged};
use crate::core::entry::Entry;
use crate::core::io::{Carrier, Event};
use crate::core::packer::Packer;
use crate::core::packet::{Body, Bounded, Compare, CoverageReport};
use crate::time::Instant;

/// Exchanges that may go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchanges {
    open: VecDeque<OpenExchange>,
    fetch: Option<Fetch>,
}

#[derive(Clone, Debug)]
struct OpenExchange {
    with: SocketAddr,
    token: u32,
    exchange: Exchange,
    until: Instant,
    window: PageWindow,
}

/// The exchange by stream that brings us much: meanwhile no other may, or a newcomer would be sent
/// everything by everybody.
#[derive(Clone, Copy, Debug)]
struct Fetch {
    id: (SocketAddr, u32),
    since: Instant,
    brought_at: Instant,
}

impl Fetch {
    /// When nothing new came for so long, it has ended.
    const LULL: Duration = Duration::from_millis(500);

    fn goes_on(&self, now: Instant) -> bool {
        now - self.brought_at < Self::LULL && now - self.since < Store::EXCHANGE_TIME
    }
}

impl Exchanges {
    /// More than a node has partners at a time; of more the oldest ends that has nothing to send,
    /// and the next swap begins another.
    const OPEN_MAX: usize = 16;

    fn open(&mut self, open: OpenExchange) {
        let now = open.until.saturating_sub(Store::EXCHANGE_TIME);
        self.open.retain(|other| other.until > now);
        if self.open.len() == Self::OPEN_MAX {
            let idle = self.open.iter().position(|open| open.window.is_empty());
            self.open.remove(idle.unwrap_or(0));
        }
        self.open.push_back(open);
    }

    fn position(&self, with: SocketAddr, token: u32) -> Option<usize> {
        self.open.iter().position(|open| (open.with, open.token) == (with, token))
    }

    /// Whether another exchange than this one brings us much.
    fn fetches_elsewhere(&self, id: Option<(SocketAddr, u32)>, now: Instant) -> bool {
        self.fetch.is_some_and(|fetch| fetch.goes_on(now) && Some(fetch.id) != id)
    }

    fn note_fetched(&mut self, id: (SocketAddr, u32), now: Instant) {
        match &mut self.fetch {
            Some(fetch) if fetch.id == id => fetch.brought_at = now,
            Some(fetch) if fetch.goes_on(now) => {}
            fetch => *fetch = Some(Fetch { id, since: now, brought_at: now }),
        }
    }
}

impl Store {
    /// An exchange takes a few round trips; a value on its way by stream takes longer.
    const EXCHANGE_TIME: Duration = Duration::from_secs(30);
    /// Datagrams in one answer: what is longer goes by stream.
    const DATAGRAMS_MAX: usize = 64;
    /// Bytes of a packet that goes by stream.
    const STREAM_PAGE_LEN: usize = 60_000;

    /// Compares entries with a node that is known to hold others.
    pub(crate) fn compare_with(&mut self, cx: &mut Context<'_>, with: SocketAddr) {
        if !self.exchanges.fetches_elsewhere(None, cx.now.mono) {
            self.begin(cx, with, ExchangePath::Datagrams);
        }
    }

    fn begin(&mut self, cx: &mut Context<'_>, with: SocketAddr, path: ExchangePath) {
        let (exchange, first) = Exchange::begin(path, cx.entries_mut());
        let token = cx.rng.bits() as u32;
        let at = self.open(cx, (with, token), exchange);
        self.send_differences(cx, at, (first, path));
    }

    fn open(
        &mut self,
        cx: &Context<'_>,
        (with, token): (SocketAddr, u32),
        exchange: Exchange,
    ) -> usize {
        let until = cx.now.mono + Self::EXCHANGE_TIME;
        let window = PageWindow::default();
        self.exchanges.open(OpenExchange { with, token, exchange, until, window });
        self.exchanges.open.len() - 1
    }

    pub(crate) fn on_compare(&mut self, cx: &mut Context<'_>, compare: &Compare, via: Source) {
        let (from, now) = (via.from, cx.now.mono);
        if !cx.is_believed(from) {
            cx.stats.exchanges_refused += 1;
            return;
        }
        let path = match via.carrier {
            Carrier::Stream => ExchangePath::Stream,
            Carrier::Datagram(_) => ExchangePath::Datagrams,
        };
        let id = (from, compare.token);
        let at = match self.exchanges.position(from, compare.token) {
            Some(at) => at,
            None => self.open(cx, id, Exchange::answering(path)),
        };
        let exchange = &mut self.exchanges.open[at].exchange;
        let Ok(done) = exchange.take(cx.entries_mut(), compare.differences.clone(), now) else {
            cx.stats.exchanges_refused += 1;
            return;
        };
        let brings_news = done.merged.iter().any(|(_, it)| matches!(it, Merged::Newer { .. }));
        Self::note_exchanged(cx, &done.merged, &done.dropped);
        if path == ExchangePath::Stream {
            self.exchanges.open[at].window.answered();
            self.exchanges.open[at].until = now + Self::EXCHANGE_TIME;
            if brings_news {
                self.exchanges.note_fetched(id, now);
            }
            if self.exchanges.fetches_elsewhere(Some(id), now) {
                return;
            }
        }
        match done.answer {
            ExchangeAnswer::Nothing => self.acknowledge(cx, at, (compare, path)),
            ExchangeAnswer::Differences(answer) => self.send_differences(cx, at, (*answer, path)),
            ExchangeAnswer::ByStream => self.begin(cx, from, ExchangePath::Stream),
        }
    }

    fn note_exchanged(cx: &mut Context<'_>, merged: &[(Entry, Merged)], dropped: &[Entry]) {
        cx.stats.updates += merged.len() as u64;
        for (entry, merged) in merged {
            Self::note_merged(cx, entry, merged);
        }
        for dropped in dropped {
            cx.out.event(Event::Entry(dropped.expired()));
        }
        Self::watch_ages(cx);
    }

    /// Has the next page come: what came by stream is answered by an empty one if by nothing else.
    fn acknowledge(
        &mut self,
        cx: &mut Context<'_>,
        at: usize,
        (compare, path): (&Compare, ExchangePath),
    ) {
        if path == ExchangePath::Datagrams {
            return;
        }
        if compare.differences != Differences::default() {
            let nothing = Compare { token: compare.token, differences: Differences::default() };
            cx.out.stream(self.exchanges.open[at].with, &cx.packet(Body::Compare(nothing)));
        }
        self.send_pages(cx, at);
    }

    /// Sends a message in as many packets as it takes: each stands for itself.
    fn send_differences(
        &mut self,
        cx: &mut Context<'_>,
        at: usize,
        (message, path): (Differences, ExchangePath),
    ) {
        let open = &mut self.exchanges.open[at];
        let (to, token) = (open.with, open.token);
        if path == ExchangePath::Stream {
            let left_out = open.window.add(pages(message, token, Self::STREAM_PAGE_LEN));
            cx.stats.answers_cut += u64::from(left_out > 0);
            return self.send_pages(cx, at);
        }
        let pages = pages(message, token, cx.config.path_len_max());
        if pages.len() > Self::DATAGRAMS_MAX {
            return self.begin(cx, to, ExchangePath::Stream);
        }
        for page in pages {
            cx.out.send(to, &cx.packet(Body::Compare(page)));
        }
    }

    /// Sends by stream what may be on its way.
    fn send_pages(&mut self, cx: &mut Context<'_>, at: usize) {
        let open = &mut self.exchanges.open[at];
        let bytes_max = Self::STREAM_PAGE_LEN + cx.config.transfer_len_max();
        while let Some(page) = open.window.next(bytes_max) {
            cx.out.stream(open.with, &cx.packet(Body::Compare(page)));
        }
    }

    /// Tells a node that holds the same entries what we know of writes.
    pub(crate) fn report_coverage(cx: &mut Context<'_>, to: SocketAddr) {
        let Some(entries) = cx.entries() else { return };
        let runs = entries.coverage().iter().copied().collect();
        let report = CoverageReport { held: entries.fingerprint(), runs };
        cx.out.send(to, &cx.packet(Body::CoverageReport(report)));
    }

    /// Takes what a node knows of writes that holds the same entries, and tells what it lacks.
    pub(crate) fn on_coverage(cx: &mut Context<'_>, from: SocketAddr, report: &CoverageReport) {
        if !cx.is_believed(from) {
            cx.stats.exchanges_refused += 1;
            return;
        }
        let entries = cx.entries_mut();
        if entries.join(report.held, &report.runs) {
            let knows_more = !entries.coverage().iter().eq(&report.runs);
            if knows_more {
                Self::report_coverage(cx, from);
            }
        }
    }
}

/// A message in parts that fit packets of so many bytes.
fn pages(message: Differences, token: u32, longest: usize) -> Vec<Compare> {
    let empty = Compare { token, differences: Differences::default() };
    let mut packer = Packer::new(empty, longest);
    let Differences { parts, wanted, heads, entries, dead } = message;
    for part in parts {
        packer.page(part.len_max()).differences.parts.push(part);
    }
    for wanted in wanted {
        packer.page(wanted.len_max()).differences.wanted.push(wanted);
    }
    for head in heads {
        packer.page(head.len_max()).differences.heads.push(head);
    }
    for dead in dead {
        packer.page(dead.len_max()).differences.dead.push(dead);
    }
    for entry in entries {
        packer.page(entry.len_max()).differences.entries.push(entry);
    }
    packer.into_pages()
}
