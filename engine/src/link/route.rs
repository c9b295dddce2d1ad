//! What the changes in force come to, by classes of endpoints that all of them treat alike.

use rustc_hash::FxHashMap;

use super::{ChangeId, Link, NetworkChange, Ways};

/// How packets from one endpoint to another are treated.
pub(super) enum Route<'a> {
    /// Not at all.
    Cut,
    /// As on this link, which may still lose everything.
    Open(&'a Link),
}

/// The routes under a list of changes.
///
/// An endpoint's class is found by refinement: two endpoints share one if every change marks them
/// alike. All endpoints that no change names stand at the end of the tables as one.
#[derive(Clone, Debug)]
pub(super) struct LinkRoutes {
    rules: Vec<Rule>,
    class: Vec<u32>,
    /// One endpoint of each class.
    example: Vec<u32>,
    default: Link,
    links: Vec<Link>,
    /// Pairs of classes that were asked for, as a place in `links`; `None` is cut.
    known: FxHashMap<(u32, u32), Option<u32>>,
}

/// One change, with the mark it gives each endpoint.
#[derive(Clone, Debug)]
struct Rule {
    change: NetworkChange,
    marks: Vec<u32>,
}

const UNMARKED: u32 = 0;
const FROM: u32 = 1;
const TO: u32 = 2;

impl LinkRoutes {
    pub(super) fn new(default: &Link, changes: &[(ChangeId, NetworkChange)]) -> Self {
        let named = changes.iter().flat_map(|(_, change)| sets(change)).flatten();
        let named = named.max().map_or(0, |&highest| highest as usize + 1);
        let rules: Vec<_> =
            changes.iter().map(|(_, change)| Rule::new(change.clone(), named + 1)).collect();
        let mut class = vec![0; named + 1];
        for rule in &rules {
            refine(&mut class, &rule.marks);
        }
        let example = examples(&class);
        let links = Vec::new();
        Self { rules, class, example, default: default.clone(), links, known: FxHashMap::default() }
    }

    pub(super) fn class(&self, endpoint: u32) -> u32 {
        self.class[(endpoint as usize).min(self.class.len() - 1)]
    }

    pub(super) fn between(&mut self, from: u32, to: u32) -> Route<'_> {
        let pair = (self.class(from), self.class(to));
        let place = match self.known.get(&pair) {
            Some(&place) => place,
            None => self.learn(pair),
        };
        match place {
            Some(place) => Route::Open(&self.links[place as usize]),
            None => Route::Cut,
        }
    }

    pub(super) fn passes(&self, from: u32, to: u32) -> bool {
        let pair = (self.class(from), self.class(to));
        match self.known.get(&pair) {
            Some(&Some(place)) => !self.links[place as usize].is_cut(),
            Some(None) => false,
            None => self.resolve(pair).is_some_and(|link| !link.is_cut()),
        }
    }

    fn learn(&mut self, pair: (u32, u32)) -> Option<u32> {
        let place = self.resolve(pair).map(|link| self.intern(link));
        self.known.insert(pair, place);
        place
    }

    fn intern(&mut self, link: Link) -> u32 {
        let place = self.links.iter().position(|known| *known == link).unwrap_or_else(|| {
            self.links.push(link);
            self.links.len() - 1
        });
        place as u32
    }

    /// The link from one class to another, before anything is remembered; `None` is cut.
    fn resolve(&self, (from, to): (u32, u32)) -> Option<Link> {
        let (from, to) = (self.example[from as usize], self.example[to as usize]);
        let mut link = self.default.clone();
        for rule in &self.rules {
            let (from, to) = (rule.marks[from as usize], rule.marks[to as usize]);
            match &rule.change {
                NetworkChange::Partition(_) if from != to => return None,
                NetworkChange::Isolate(_) if from.max(to) != UNMARKED => return None,
                NetworkChange::Partition(_) | NetworkChange::Isolate(_) => {}
                NetworkChange::Links { ways, change, .. } => {
                    let forth = from & FROM != 0 && to & TO != 0;
                    let back = *ways == Ways::Both && from & TO != 0 && to & FROM != 0;
                    if forth || back {
                        change.apply(&mut link);
                    }
                }
                NetworkChange::Everywhere(change) => change.apply(&mut link),
            }
        }
        Some(link)
    }
}

impl Rule {
    fn new(change: NetworkChange, len: usize) -> Self {
        let mut marks = vec![UNMARKED; len];
        match &change {
            NetworkChange::Partition(groups) => {
                for (group, endpoints) in (1..).zip(groups) {
                    endpoints.iter().for_each(|&endpoint| marks[endpoint as usize] = group);
                }
            }
            NetworkChange::Isolate(endpoints) => {
                endpoints.iter().for_each(|&endpoint| marks[endpoint as usize] = 1);
            }
            NetworkChange::Links { from, to, .. } => {
                from.iter().for_each(|&endpoint| marks[endpoint as usize] |= FROM);
                to.iter().for_each(|&endpoint| marks[endpoint as usize] |= TO);
            }
            NetworkChange::Everywhere(_) => {}
        }
        Self { change, marks }
    }
}

fn sets(change: &NetworkChange) -> Vec<&[u32]> {
    match change {
        NetworkChange::Partition(groups) => groups.iter().map(Vec::as_slice).collect(),
        NetworkChange::Isolate(endpoints) => vec![endpoints],
        NetworkChange::Links { from, to, .. } => vec![from, to],
        NetworkChange::Everywhere(_) => Vec::new(),
    }
}

/// Splits classes so that endpoints of one class have one mark.
fn refine(class: &mut [u32], marks: &[u32]) {
    let mut numbers = FxHashMap::default();
    for (class, &mark) in class.iter_mut().zip(marks) {
        let next = numbers.len() as u32;
        *class = *numbers.entry((*class, mark)).or_insert(next);
    }
}

fn examples(class: &[u32]) -> Vec<u32> {
    let mut examples = Vec::new();
    for (endpoint, &class) in class.iter().enumerate() {
        if class as usize == examples.len() {
            examples.push(endpoint as u32);
        }
    }
    examples
}
