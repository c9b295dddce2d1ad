//! A run told again by its trace, line by line.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::bystanders::Bystanders;
use super::cluster::{Cluster, Life, Truth};
use super::entries::Entries;
use super::expect;
use super::lists::{Episodes, Lists};
use super::removals::{Crashes, Removals};
use super::rumors::{Presence, Receipt, Rumors, Way};
use super::trace::Line;
use super::traffic::Traffic;
use super::values::{Values, version};
use super::{Setting, ms};

/// Everything that is worked out on the way.
pub(crate) struct Run<'a> {
    setting: &'a Setting,
    now: u64,
    cluster: Cluster,
    lists: Lists,
    episodes: Episodes,
    values: Values,
    entries: Entries,
    removals: Removals,
    bystanders: Bystanders,
    crashes: Crashes,
    rumors: Rumors,
    traffic: Traffic,
    /// The truth at the end of the last instant in which it changed.
    settled: Truth,
    /// What first changed it at this instant.
    changed: Option<String>,
    unsettled: bool,
    /// The line of the last action.
    action: String,
    faults: Map<String, Value>,
    /// By name: how many nodes told of it.
    events: BTreeMap<&'static str, u64>,
    /// By node: the last packet that it got.
    got: Vec<(u64, Way)>,
    learned: Vec<Receipt>,
}

impl<'a> Run<'a> {
    pub(crate) fn of(setting: &'a Setting, bystanders: Bystanders, lines: &[Line]) -> Self {
        let named = lines.iter().map(|line| line.node.max(line.from.unwrap_or(0)));
        let nodes = named.max().unwrap() + 1;
        let mut run = Self {
            setting,
            now: 0,
            cluster: Cluster::new(nodes),
            lists: Lists::new(nodes),
            episodes: Episodes::new(setting),
            values: Values::new(nodes),
            entries: Entries::new(nodes),
            removals: Removals::default(),
            bystanders,
            crashes: Crashes::default(),
            rumors: Rumors::new(nodes),
            traffic: Traffic::new(setting, nodes),
            settled: vec![None; nodes],
            changed: None,
            unsettled: true,
            action: String::new(),
            faults: Map::new(),
            events: rumormill::Event::NAMES.iter().map(|&name| (name, 0)).collect(),
            got: vec![(0, Way::default()); nodes],
            learned: Vec::new(),
        };
        // In this order, so that what starts first has the lower number.
        (0..setting.nodes).for_each(|node| _ = run.cluster.life(node, 0));
        lines.iter().for_each(|line| run.line(line));
        run.settle();
        run.values.account(&run.cluster, setting.duration);
        run
    }

    fn line(&mut self, line: &Line) {
        if line.t_ns > self.now {
            self.settle();
            self.values.account(&self.cluster, line.t_ns);
            self.now = line.t_ns;
        }
        match line.event.as_str() {
            "action" => self.action(line),
            "up" => self.up(line),
            "down" => self.down(line),
            "stop" => self.stop(line.node),
            "start" => {
                self.cluster.start(line);
                self.rumors.presence[line.node] = Presence::Since(self.now);
                self.shifted("start");
            }
            "pause" => {
                self.fault("pause");
                self.cluster.pause(line.node);
                self.cluster.remember(self.now);
            }
            "resume" => {
                self.cluster.resume(line);
                self.cluster.remember(self.now);
            }
            "paths" => {
                self.cluster.paths(line);
                let cause = self.verb();
                self.shifted(&cause);
            }
            "send" | "drop" | "deliver" => self.packet(line),
            "state" => self.state(line),
            "learn" => self.learned.push((
                line.rumor.clone(),
                line.node,
                line.t_ns,
                line.hop,
                line.from,
                line.via.clone(),
            )),
            other => assert_eq!(other, "run"),
        }
    }

    fn fault(&mut self, kind: &str) {
        let count = self.faults.get(kind).and_then(Value::as_u64).unwrap_or(0);
        self.faults.insert(kind.to_owned(), (count + 1).into());
    }

    /// What the last action is: a link of which nothing but the loss changes is a loss.
    fn verb(&self) -> String {
        let verb = self.action.split(' ').next().unwrap_or_default();
        let change = self.action.split_once(": ").map_or("", |(_, change)| change);
        let only = ["loss", "latency"].into_iter().find(|only| change.starts_with(only));
        let only = only.filter(|_| verb == "link" && !change.contains(','));
        only.unwrap_or(verb).to_owned()
    }

    fn action(&mut self, line: &Line) {
        self.action.clone_from(&line.text);
        let verb = self.verb();
        if ["partition", "isolate", "link", "loss", "latency"].contains(&verb.as_str()) {
            self.fault(&verb);
        }
        let ends = ["set right", "no drift", "jump by"];
        match line.text.strip_prefix("clock ").and_then(|clock| clock.split_once(": ")) {
            Some((nodes, change)) if !ends.iter().any(|end| change.starts_with(end)) => {
                (0..shown(nodes)).for_each(|_| self.fault("clock"));
            }
            _ => {}
        }
    }

    /// Something happened by which the truth may be another.
    fn shifted(&mut self, cause: &str) {
        self.cluster.remember(self.now);
        if self.cluster.truth == self.settled {
            self.changed = None;
        } else {
            self.changed.get_or_insert_with(|| cause.to_owned());
        }
        self.unsettled = true;
    }

    fn settle(&mut self) {
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        let lists_are_true = self.lists.settle(&self.cluster);
        if let Some(cause) = self.changed.take() {
            if self.now == self.setting.duration {
                return;
            }
            self.episodes.change(self.now, &cause);
            self.values.change();
            self.entries.change();
            self.settled.clone_from(&self.cluster.truth);
        }
        self.values.settle(self.now, &self.cluster.truth);
        self.entries.settle(self.now, &self.cluster.truth);
        self.episodes.settle(self.now, lists_are_true);
    }

    fn up(&mut self, line: &Line) {
        let node = line.node;
        let life = self.cluster.up(line);
        self.lists.begin(node, life);
        self.values.held[node] = None;
        self.entries.begin(node);
        self.crashes.came_back(node);
        self.traffic.up(self.now, node);
        self.rumors.presence[node] = Presence::Since(self.now);
        let cause = match line.cause.as_str() {
            "initial" => "start",
            "join" => {
                self.fault("join");
                self.rumors.start("join", self.now, node, life);
                "join"
            }
            "restart" => {
                self.fault("restart");
                self.rumors.start("restart", self.now, node, life);
                "restart"
            }
            other => panic!("{other}"),
        };
        self.shifted(cause);
    }

    fn down(&mut self, line: &Line) {
        let (node, at) = (line.node, self.now);
        let life = self.cluster.running(node).unwrap();
        let says_goodbye = match line.cause.as_str() {
            "restart" => self.action.starts_with("leave") || self.action.contains("(leave,"),
            cause => cause == "leave",
        };
        // A restart is counted as the start that it ends with: who is down already has no other.
        if line.cause != "restart" {
            self.fault(&line.cause);
        }
        match says_goodbye {
            true => self.rumors.leave(&self.lists, at, node, life),
            false => self.crashes.crash(&self.cluster, &self.lists, at, node),
        }
        self.crashes.blind(&self.lists, at, node);
        self.cluster.down(node);
        self.rumors.presence[node] = Presence::Until(at);
        self.traffic.down(at, node);
        self.shifted(&line.cause);
    }

    fn stop(&mut self, node: usize) {
        self.fault("stop");
        self.crashes.blind(&self.lists, self.now, node);
        self.cluster.stop(node);
        self.shifted("stop");
    }

    fn packet(&mut self, line: &Line) {
        self.traffic.packet(self.setting, line);
        self.rumors.packet(line);
        if line.event == "deliver" {
            let way = Way { from: line.from, kind: line.kind.clone() };
            self.got[line.to.unwrap()] = (self.now, way);
        }
    }

    /// By what a node has come to what a line says of it.
    fn way(&self, line: &Line) -> Way {
        let (at, way) = &self.got[line.node];
        match line.from {
            None => Way::default(),
            Some(from) => {
                assert_eq!((*at, way.from), (self.now, Some(from)), "nothing came: {line:?}");
                way.clone()
            }
        }
    }

    fn state(&mut self, line: &Line) {
        self.unsettled = true;
        let event = self.events.get_mut(line.change.as_str());
        *event.unwrap_or_else(|| panic!("no event is {}", line.change)) += 1;
        let way = self.way(line);
        match (line.change.as_str(), line.about) {
            ("joined" | "updated", None) => self.lists.only_real_nodes = false,
            ("joined" | "updated", Some(about)) => {
                let life = self.cluster.life(about, line.life);
                self.list(line.node, life, &way);
            }
            ("removed" | "replaced", Some(about)) => {
                let life = self.cluster.life(about, line.life);
                self.unlist(line, life, &way);
            }
            ("published", _) => self.publish(line, &way),
            ("entry", _) => self.entry(line, &way),
            ("view", _) => {
                let (members, episode) = (line.members.unwrap(), self.episodes.open());
                self.bystanders.view(self.now, line.node, members, episode);
            }
            _ => {}
        }
    }

    fn list(&mut self, node: usize, life: Life, way: &Way) {
        for change in self.lists.list(&self.cluster, node, life) {
            self.crashes.listing(&self.lists, self.now, node, change);
        }
        self.bystanders.list(self.now, node, life);
        self.rumors.list(&self.cluster, self.now, node, life, way);
    }

    fn unlist(&mut self, line: &Line, life: Life, way: &Way) {
        let (node, at) = (line.node, self.now);
        let own = Way::default();
        let goodbye = line.cause == "left";
        if goodbye {
            self.lists.goodbye(node, life);
        } else {
            let since = at.saturating_sub(self.setting.timeout);
            self.removals.judge(&self.cluster, since, (node, life), &line.change);
            if line.change == "removed" {
                self.bystanders.time_out(at, node, (self.cluster.node_of[life], life));
            }
            if self.cluster.live(node).is_some() {
                self.rumors.removal(&self.lists, at, self.cluster.node_of[life], life);
            }
        }
        if self.lists.unlist(&self.cluster, node, life) {
            self.crashes.listing(&self.lists, at, node, (life, false));
        }
        self.rumors.unlist(at, node, life, if goodbye { way } else { &own });
    }

    fn publish(&mut self, line: &Line, way: &Way) {
        let version = version(&line.version);
        // Whoever holds a version that nobody had before has published it.
        let is_new = way.from.is_none() || !self.rumors.is_known(&version);
        let own = Way::default();
        let way = if is_new { &own } else { way };
        if is_new {
            self.values.publish(self.now, &version);
            self.rumors.write(self.now, line.node, None, &version);
        }
        self.values.hold(line.node, &version);
        self.rumors.hold(self.now, line.node, (None, &version), way);
        self.entries.told(line, &version, way.from.is_none());
    }

    fn entry(&mut self, line: &Line, way: &Way) {
        let (version, key) = (version(&line.version), line.entry.as_ref().unwrap().key.as_str());
        if self.entries.told(line, &version, way.from.is_none()) {
            self.rumors.write(self.now, line.node, Some(key), &version);
        }
        self.rumors.hold(self.now, line.node, (Some(key), &version), way);
    }

    /// First receipts as worked out, and as the trace tells them; in any order.
    pub(crate) fn receipts(&self) -> (Vec<Receipt>, Vec<Receipt>) {
        let (mut own, mut told) = (self.rumors.receipts(), self.learned.clone());
        own.sort();
        told.sort();
        (own, told)
    }

    /// All of `summary.json` that follows from the trace; the rest is as in `given`.
    pub(crate) fn summary(mut self, first: &Line, given: &Map<String, Value>) -> Value {
        let nodes = self.cluster.states.len();
        for node in 0..nodes {
            if self.cluster.running(node).is_some() && self.cluster.live(node).is_none() {
                self.rumors.presence[node] = Presence::Until(self.setting.duration);
            }
        }
        let rumors = self.rumors.figures();
        let live = (0..nodes).filter(|&node| self.cluster.live(node).is_some()).count();
        let [unique, changes] = self.bystanders.view_figures(self.setting.warmup);
        let mut summary = json!({
            "schema": "summary/1",
            "scenario": first.scenario,
            "scenario_digest": self.setting.digest,
            "seed": first.seed,
            "nodes": { "start": self.setting.nodes, "end": live },
            "virtual_ms": ms(self.setting.duration),
            "messages": self.traffic.messages(),
            "bytes": self.traffic.bytes(),
            "per_node_per_second": self.traffic.per_second(self.setting),
            "links": self.traffic.link_figures(self.setting),
            "node_list": self.episodes.figures(self.setting.duration),
            "metadata": self.metadata(&rumors),
            "removals": self.removals.figures(self.bystanders.figures()),
            "detection": self.crashes.figures(),
            "view_error": self.lists.view_error(&self.cluster),
            "views": { "unique": unique, "changes": changes },
            "peaks": {
                "members": self.lists.members_max(),
                "packet_bytes": self.traffic.packet_max(),
            },
            "faults": self.faults,
            "events": self.events,
            "engine": {},
            "invariants": self.invariants(),
            "rumors": rumors,
        });
        if self.setting.writes {
            let times = (self.episodes.last_change(), self.setting.duration);
            let rumors = summary["rumors"].as_array().unwrap();
            summary["entries"] = self.entries.figures(&self.cluster, times, rumors);
        }
        for (path, value) in given {
            insert(&mut summary, path, value);
        }
        self.judge(&mut summary);
        summary
    }

    fn metadata(&self, rumors: &[Value]) -> Value {
        let after = self.values.converged_after(self.episodes.last_change());
        let last = rumors.iter().rfind(|rumor| rumor["kind"] == "metadata");
        let time = |key: &str| last.map_or(Value::Null, |last| last[key].clone());
        json!({
            "converged": self.values.last_publish.map(|_| after.is_some()),
            "converged_after_ms": after.map(ms),
            "version": self.values.newest(&self.cluster),
            "t50_ms": time("t50_ms"),
            "t90_ms": time("t90_ms"),
            "t99_ms": time("t99_ms"),
            "t100_ms": time("t100_ms"),
            "staleness": self.values.staleness(),
        })
    }

    fn invariants(&self) -> Vec<Value> {
        let laws = [
            ("packets_conserved", Some(self.traffic.packets_conserved)),
            ("versions_never_go_back", Some(self.values.never_go_back)),
            ("gone_stay_gone", Some(self.lists.gone_stay_gone)),
            ("silence_before_removal", None),
            ("state_is_bounded", None),
            ("only_real_nodes", Some(self.lists.only_real_nodes)),
            ("convergence", None),
            ("no_zombie", None),
            ("no_loss", None),
            ("bounded_work", None),
            ("told_once", None),
            ("calm", None),
        ];
        let told = |(name, ok): (&str, Option<bool>)| match ok {
            Some(ok) => json!({ "name": name, "ok": ok, "detail": null, "first": null }),
            None => json!({}),
        };
        laws.into_iter().map(told).collect()
    }

    fn judge(&self, summary: &mut Value) {
        let expect = self.setting.expect.iter();
        let judged: Vec<_> =
            expect.map(|(name, want)| expect::judge(summary, name, want)).collect();
        let laws = summary["invariants"].as_array().unwrap();
        let ok = judged.iter().chain(laws).all(|judged| judged["ok"] == true);
        summary["expectations"] = judged.into();
        summary["ok"] = ok.into();
    }
}

/// How many nodes a set has that is shown as `0..25, 30`.
fn shown(nodes: &str) -> usize {
    let stretch = |stretch: &str| match stretch.split_once("..") {
        Some((from, to)) => to.parse::<usize>().unwrap() - from.parse::<usize>().unwrap(),
        None => 1,
    };
    nodes.split(", ").map(stretch).sum()
}

/// Puts a value at a path of keys and places.
fn insert(into: &mut Value, path: &str, value: &Value) {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let keys = parent.split('.').filter(|key| !key.is_empty());
    let at = keys.fold(into, |at, key| match key.parse::<usize>() {
        Ok(place) => &mut at[place],
        Err(_) => &mut at[key],
    });
    assert!(at.get(key).is_none(), "{path} is worked out and on the list of what can't be");
    at[key] = value.clone();
}
