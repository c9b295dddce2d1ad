//! What was sent, and what became of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::trace::Line;
use super::{Setting, ms};

/// Headers of UDP and IPv4.
const HEADERS: u64 = 28;

#[derive(Debug)]
pub(crate) struct Traffic {
    fates: BTreeMap<String, u64>,
    /// Packets by ends, kind, content and time: how many are still to arrive.
    flying: BTreeMap<(usize, Option<usize>, String, String, u64), i64>,
    pub(crate) packets_conserved: bool,
    payload: u64,
    packet_max: u64,
    window: u64,
    /// By node: packets and bytes in the window, and how long it ran in it.
    tallies: Vec<(u64, u64, u64)>,
    up_since: Vec<Option<u64>>,
    links: (u64, u64, u64),
}

impl Traffic {
    pub(crate) fn new(setting: &Setting, nodes: usize) -> Self {
        Self {
            fates: BTreeMap::new(),
            flying: BTreeMap::new(),
            packets_conserved: true,
            payload: 0,
            packet_max: 0,
            window: setting.warmup,
            tallies: vec![(0, 0, 0); nodes],
            up_since: vec![None; nodes],
            links: (0, 0, 0),
        }
    }

    pub(crate) fn up(&mut self, at: u64, node: usize) {
        self.up_since[node] = Some(at.max(self.window));
    }

    pub(crate) fn down(&mut self, at: u64, node: usize) {
        if let Some(since) = self.up_since[node].take() {
            self.tallies[node].2 += at.saturating_sub(since);
        }
    }

    fn count(&mut self, fate: &str, times: u64) {
        *self.fates.entry(fate.to_owned()).or_default() += times;
    }

    pub(crate) fn packet(&mut self, setting: &Setting, line: &Line) {
        let from = line.from.unwrap();
        let sent = line.sent_ns.unwrap_or(line.t_ns);
        let key = (from, line.to, line.kind.clone(), line.content.clone(), sent);
        if line.event == "send" {
            *self.flying.entry(key).or_default() += line.copies.unwrap_or(1) as i64;
            return self.send(setting, line, from);
        }
        let left = self.flying.get_mut(&key).map(|left| {
            *left -= 1;
            *left
        });
        self.packets_conserved &= left.is_some_and(|left| left >= 0);
        if left == Some(0) {
            self.flying.remove(&key);
        }
        let fate = if line.event == "deliver" { "delivered" } else { &line.cause };
        self.count(fate, 1);
    }

    fn send(&mut self, setting: &Setting, line: &Line, from: usize) {
        let bytes = line.bytes + HEADERS;
        self.count("sent", 1);
        self.count("duplicated", line.copies.unwrap_or(1) - 1);
        self.payload += line.bytes;
        self.packet_max = self.packet_max.max(line.bytes);
        let in_window = line.t_ns >= self.window;
        if in_window {
            self.tallies[from].0 += 1;
            self.tallies[from].1 += bytes;
        }
        let Some(to) = line.to else { return };
        let crosses = |(a, b): &(Vec<usize>, Vec<usize>)| a.contains(&from) && b.contains(&to);
        if setting.links.iter().any(crosses) {
            self.links.0 += 1;
            self.links.1 += bytes;
            self.links.2 += if in_window { bytes } else { 0 };
        }
    }

    pub(crate) fn messages(&self) -> Value {
        let fates = [
            "sent",
            "duplicated",
            "delivered",
            "lost",
            "cut",
            "to_dead",
            "overflow",
            "oversize",
            "corrupted",
        ];
        let counted = |fate: &str| self.fates.get(fate).copied().unwrap_or(0);
        let mut messages: serde_json::Map<_, _> =
            fates.iter().map(|fate| ((*fate).to_owned(), counted(fate).into())).collect();
        let in_flight: i64 = self.flying.values().sum();
        messages.insert("in_flight".to_owned(), in_flight.into());
        messages.into()
    }

    pub(crate) fn bytes(&self) -> Value {
        let sent = self.fates.get("sent").copied().unwrap_or(0);
        json!({ "payload": self.payload, "with_headers": self.payload + sent * HEADERS })
    }

    pub(crate) fn packet_max(&self) -> u64 {
        self.packet_max
    }

    /// Rates of the nodes that ran in the window, each over its own time, a cycle at least.
    pub(crate) fn per_second(&mut self, setting: &Setting) -> Value {
        (0..self.tallies.len()).for_each(|node| self.down(setting.duration, node));
        let ran: Vec<_> = self.tallies.iter().filter(|(_, _, ran)| *ran > 0).collect();
        let rates = |count: fn(&(u64, u64, u64)) -> u64, percent: usize| {
            let rate =
                |it: &&(u64, u64, u64)| count(it) as f64 * 1e9 / it.2.max(setting.cycle) as f64;
            let mut rates: Vec<f64> = ran.iter().map(rate).collect();
            rates.sort_by(f64::total_cmp);
            rates.get((percent * rates.len()).div_ceil(100).max(1) - 1).copied()
        };
        json!({
            "messages_p50": rates(|it| it.0, 50),
            "bytes_p50": rates(|it| it.1, 50),
            "bytes_p99": rates(|it| it.1, 99),
            "bytes_max": rates(|it| it.1, 100),
            "window_ms": ms(setting.duration - setting.warmup),
        })
    }

    pub(crate) fn link_figures(&self, setting: &Setting) -> Value {
        if setting.links.is_empty() {
            return json!({ "messages": null, "bytes": null, "bytes_per_second": null });
        }
        let (messages, bytes, in_window) = self.links;
        let lasts = (setting.duration - setting.warmup) as f64;
        let per_second = in_window as f64 * 1e9 / lasts;
        json!({ "messages": messages, "bytes": bytes, "bytes_per_second": per_second })
    }
}
