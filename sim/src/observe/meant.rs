//! Who is meant where a protocol knows nodes by their addresses alone.
//!
//! Measures follow incarnations. A record without a generation is that of whoever last started at
//! its address, as far as what it says tells.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rumormill::core::{Identity, Record};
use rumormill::node::Generation;
use rumormill::time::Instant;
use rumormill::{Event, Node};

use super::cast::{Cast, IncarnationNo};

/// What is known of records that name an address alone.
#[derive(Clone, Debug)]
pub(crate) struct Meant {
    identity: Identity,
    cast: Arc<Cast>,
    /// By incarnation: what it came to say of itself, the oldest first.
    said: BTreeMap<IncarnationNo, Vec<Arc<Record>>>,
}

impl Meant {
    pub(crate) fn new(identity: Identity, cast: &Arc<Cast>) -> Self {
        Self { identity, cast: Arc::clone(cast), said: BTreeMap::new() }
    }

    /// An event with the generations of those that it is about.
    pub(crate) fn event<'e>(&mut self, at: Instant, event: &'e Event) -> Cow<'e, Event> {
        if self.identity == Identity::Incarnation {
            return Cow::Borrowed(event);
        }
        Cow::Owned(match event {
            Event::Joined(record) => Event::Joined(self.record(at, record)),
            Event::Updated { old, new } => {
                self.listen(at, new);
                Event::Updated { old: self.record(at, old), new: self.record(at, new) }
            }
            Event::Removed { record, cause } => {
                Event::Removed { record: self.record(at, record), cause: *cause }
            }
            other => other.clone(),
        })
    }

    /// Whose words these are: the incarnation, and the generation in which it says them.
    pub(crate) fn find(&self, at: Instant, node: &Node) -> Option<(IncarnationNo, Generation)> {
        let incarnation = self.cast.last_at(node.addr(), at)?;
        let said = self.said.get(&incarnation).into_iter().flatten();
        let own = said.rev().find(|record| record.node() == node);
        let record = own.unwrap_or(&self.cast.part(incarnation).record);
        Some((incarnation, record.generation()))
    }

    /// A node that changes what it says knows its own generation.
    fn listen(&mut self, at: Instant, new: &Arc<Record>) {
        if new.generation() != Generation::default()
            && let Some(incarnation) = self.cast.last_at(new.node().addr(), at)
        {
            self.said.entry(incarnation).or_default().push(Arc::clone(new));
        }
    }

    fn record(&self, at: Instant, record: &Arc<Record>) -> Arc<Record> {
        if record.generation() != Generation::default() {
            return Arc::clone(record);
        }
        match self.find(at, record.node()) {
            Some((_, generation)) => Arc::new(Record::new(record.node().clone(), generation)),
            None => Arc::clone(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testkit::{self, at_ms};
    use rumormill::NodeBuilder;

    /// Nodes 0 to 2, each with a second life (3 to 5) from 1 s on.
    fn meant(identity: Identity) -> Meant {
        let plan = testkit::plan_with_restarts(3);
        Meant::new(identity, &Arc::new(Cast::of(&plan)))
    }

    fn bare(node: Node) -> Arc<Record> {
        Arc::new(Record::new(node, Generation::default()))
    }

    fn joined(meant: &mut Meant, at: Instant, record: &Arc<Record>) -> Generation {
        match meant.event(at, &Event::Joined(Arc::clone(record))).into_owned() {
            Event::Joined(record) => record.generation(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_address_means_whoever_started_there_last() {
        let mut meant = meant(Identity::Address);
        let of = |part: usize| meant.cast.parts()[part].record.generation();
        let (first, second) = (of(1), of(4));
        let record = bare(testkit::node(1));
        assert_eq!(joined(&mut meant, at_ms(999), &record), first);
        assert_eq!(joined(&mut meant, at_ms(1_000), &record), second);
        let stranger = bare(testkit::node(9));
        assert_eq!(joined(&mut meant, at_ms(5), &stranger), Generation::default());
    }

    #[test]
    fn who_changed_what_it_says_is_known_by_its_words() {
        let mut meant = meant(Identity::Address);
        let was = testkit::node(1);
        let is = NodeBuilder::from(was.clone()).private_data("b").build().unwrap();
        let old = Arc::clone(&meant.cast.parts()[1].record);
        let next = Generation::new(old.generation().get() + 5).unwrap();
        let new = Arc::new(Record::new(is.clone(), next));
        meant.event(at_ms(10), &Event::Updated { old: Arc::clone(&old), new });
        assert_eq!(joined(&mut meant, at_ms(20), &bare(is)), next);
        assert_eq!(joined(&mut meant, at_ms(20), &bare(was)), old.generation());
    }

    #[test]
    fn a_protocol_that_tells_lives_apart_is_taken_at_its_word() {
        let record = bare(testkit::node(1));
        let generation = joined(&mut meant(Identity::Incarnation), at_ms(5), &record);
        assert_eq!(generation, Generation::default());
    }
}
