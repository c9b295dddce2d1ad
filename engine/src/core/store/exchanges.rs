//! Exchanges: what two nodes that hold different entries say to each other until they don't.
//!
//! Whoever finds in a swap that another holds something else begins one. A few differences are
//! found and mended by datagrams; where much differs it goes by stream, and what is more than fits
//! one answer is left to the next swap. Only members are heard: to compare takes looks at all that
//! is held.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::Store;
use crate::core::context::{Context, Source};
use crate::core::entries::{Differences, Exchange, ExchangeAnswer, ExchangePath};
use crate::core::io::{Carrier, Event};
use crate::core::packer::Packer;
use crate::core::packet::{Body, Bounded, Compare, CoverageReport};
use crate::time::Instant;

/// Exchanges that may go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchanges {
    open: VecDeque<OpenExchange>,
}

#[derive(Clone, Debug)]
struct OpenExchange {
    with: SocketAddr,
    token: u32,
    exchange: Exchange,
    until: Instant,
}

impl Exchanges {
    /// More than a node has partners at a time; of more the oldest ends, and the next swap begins
    /// another.
    const OPEN_MAX: usize = 16;

    fn open(&mut self, open: OpenExchange) {
        self.open.retain(|other| other.until > open.until.saturating_sub(Store::EXCHANGE_TIME));
        if self.open.len() == Self::OPEN_MAX {
            self.open.pop_front();
        }
        self.open.push_back(open);
    }

    fn position(&self, with: SocketAddr, token: u32) -> Option<usize> {
        self.open.iter().position(|open| (open.with, open.token) == (with, token))
    }
}

impl Store {
    /// An exchange takes a few round trips; a value on its way by stream takes longer.
    const EXCHANGE_TIME: Duration = Duration::from_secs(30);
    /// Packets in one answer by stream; the next swap brings more.
    const PAGES_MAX: usize = 64;
    /// Bytes of a packet that goes by stream.
    const STREAM_PAGE_LEN: usize = 60_000;

    /// Compares entries with a node that is known to hold others.
    pub(crate) fn compare_with(&mut self, cx: &mut Context<'_>, with: SocketAddr) {
        self.begin(cx, with, ExchangePath::Datagrams);
    }

    fn begin(&mut self, cx: &mut Context<'_>, with: SocketAddr, path: ExchangePath) {
        let (exchange, first) = Exchange::begin(path, cx.entries_mut());
        let token = cx.rng.bits() as u32;
        let until = cx.now.mono + Self::EXCHANGE_TIME;
        self.exchanges.open(OpenExchange { with, token, exchange, until });
        Self::send_differences(cx, with, token, (first, path));
    }

    pub(crate) fn on_compare(&mut self, cx: &mut Context<'_>, compare: &Compare, via: Source) {
        let (from, token) = (via.from, compare.token);
        if !cx.is_believed(from) {
            cx.stats.exchanges_refused += 1;
            return;
        }
        let path = match via.carrier {
            Carrier::Stream => ExchangePath::Stream,
            Carrier::Datagram(_) => ExchangePath::Datagrams,
        };
        let at = self.exchanges.position(from, token).unwrap_or_else(|| {
            let until = cx.now.mono + Self::EXCHANGE_TIME;
            let exchange = Exchange::answering(path);
            self.exchanges.open(OpenExchange { with: from, token, exchange, until });
            self.exchanges.open.len() - 1
        });
        let exchange = &mut self.exchanges.open[at].exchange;
        let now = cx.now.mono;
        let Ok(done) = exchange.take(cx.entries_mut(), compare.differences.clone(), now) else {
            cx.stats.exchanges_refused += 1;
            return;
        };
        cx.stats.updates += done.merged.len() as u64;
        for (entry, merged) in &done.merged {
            Self::note_merged(cx, entry, merged);
        }
        for dropped in done.dropped {
            cx.out.event(Event::Entry(dropped.expired()));
        }
        Self::watch_ages(cx);
        match done.answer {
            ExchangeAnswer::Nothing => {}
            ExchangeAnswer::Differences(answer) => {
                Self::send_differences(cx, from, token, (*answer, path));
            }
            ExchangeAnswer::ByStream => self.begin(cx, from, ExchangePath::Stream),
        }
    }

    /// Sends a message in as many packets as it takes: each stands for itself.
    fn send_differences(
        cx: &mut Context<'_>,
        to: SocketAddr,
        token: u32,
        (message, path): (Differences, ExchangePath),
    ) {
        let longest = match path {
            ExchangePath::Datagrams => cx.config.path_len_max(),
            ExchangePath::Stream => Self::STREAM_PAGE_LEN,
        };
        let mut pages = pages(message, token, longest);
        if pages.len() > Self::PAGES_MAX {
            cx.stats.answers_cut += 1;
            pages.truncate(Self::PAGES_MAX);
            cx.swap_again_soon();
        }
        for page in pages {
            let packet = cx.packet(Body::Compare(page));
            match path {
                ExchangePath::Datagrams => cx.out.send(to, &packet),
                ExchangePath::Stream => cx.out.stream(to, &packet),
            }
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
