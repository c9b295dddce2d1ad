//! Which value every node holds, who agrees since when, and for how long values were out of date.

use super::cluster::{Cluster, Truth};

/// Versions are ordered by their time, then by their writer.
pub(crate) type Version = (i64, String);

pub(crate) fn version(text: &str) -> Version {
    let (nanos, writer) = text.rsplit_once('-').unwrap();
    (nanos.parse().unwrap(), writer.to_owned())
}

#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) held: Vec<Option<Version>>,
    published: Option<Version>,
    pub(crate) last_publish: Option<u64>,
    agreed_since: Option<u64>,
    pub(crate) never_go_back: bool,
    /// By node, in nanoseconds: how long it lived, and how long of that out of date.
    lived: Vec<(u64, u64)>,
    accounted: u64,
}

impl Values {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            held: vec![None; nodes],
            published: None,
            last_publish: None,
            agreed_since: None,
            never_go_back: true,
            lived: vec![(0, 0); nodes],
            accounted: 0,
        }
    }

    /// To be called before anything of this time happens.
    pub(crate) fn account(&mut self, cluster: &Cluster, at: u64) {
        let span = at - self.accounted;
        for (node, (lived, stale)) in self.lived.iter_mut().enumerate() {
            if cluster.live(node).is_some() {
                *lived += span;
                *stale += if self.held[node] < self.published { span } else { 0 };
            }
        }
        self.accounted = at;
    }

    pub(crate) fn publish(&mut self, at: u64, version: &Version) {
        self.last_publish = Some(at);
        self.agreed_since = None;
        self.published = self.published.take().max(Some(version.clone()));
    }

    pub(crate) fn hold(&mut self, node: usize, version: &Version) {
        self.never_go_back &= self.held[node].as_ref().is_none_or(|held| held < version);
        self.held[node] = Some(version.clone());
    }

    /// Truth changed: those who agree do so anew.
    pub(crate) fn change(&mut self) {
        self.agreed_since = None;
    }

    pub(crate) fn settle(&mut self, at: u64, truth: &Truth) {
        let live = || truth.iter().enumerate().filter_map(|(node, it)| Some((node, (*it)?.1)));
        let newest = |component: usize| {
            let peers = live().filter(|&(_, other)| other == component);
            peers.map(|(node, _)| &self.held[node]).max().unwrap()
        };
        let agree = live().all(|(node, component)| self.held[node] == *newest(component));
        let kept = live().any(|(node, _)| self.held[node] >= self.published);
        self.agreed_since = (agree && kept).then(|| self.agreed_since.unwrap_or(at));
    }

    /// In nanoseconds.
    pub(crate) fn converged_after(&self, last_change: u64) -> Option<u64> {
        Some(self.agreed_since?.saturating_sub(self.last_publish?.max(last_change)))
    }

    pub(crate) fn newest(&self, cluster: &Cluster) -> Option<String> {
        let live = (0..self.held.len()).filter(|&node| cluster.live(node).is_some());
        let (nanos, writer) = live.filter_map(|node| self.held[node].clone()).max()?;
        Some(format!("{nanos}-{writer}"))
    }

    pub(crate) fn staleness(&self) -> Option<f64> {
        self.published.as_ref()?;
        let ran: Vec<_> = self.lived.iter().filter(|(lived, _)| *lived > 0).collect();
        let sum: f64 = ran.iter().map(|(lived, stale)| *stale as f64 / *lived as f64).sum();
        (!ran.is_empty()).then(|| sum / ran.len() as f64)
    }
}
