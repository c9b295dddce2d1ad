//! Entries: named values that every node comes to hold, as a service puts, reads and follows them.

use std::collections::BTreeSet;
use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;

use super::events::Events;
use super::{NodeList, NodeListError};
use crate::core::{EntriesView, Entry, EntryKey, Event, Incarnation, Terms, Version};
use crate::net::{Listed, Notice, Request};
use crate::time::Instant;

impl NodeList {
    /// Gives a key this value on every node, and returns the version when [`NodeList::entry`]
    /// shows it here; the others follow within a few network delays. The last writer wins, as with
    /// [`NodeList::publish`]. Awaited as it is, or with a time after which it expires:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rumormill::{NodeList, NodeListError};
    /// # async fn share(list: &NodeList) -> Result<(), NodeListError> {
    /// list.put("limits/login", "10").await?;
    /// list.put("leases/job-7", "node a").ttl(Duration::from_secs(30)).await?;
    /// assert_eq!(&list.entry("limits/login").unwrap().data().unwrap()[..], b"10");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Awaited: when the text is no key, the value or all values together are more than fit (see
    /// `entry_len_max`, `entries_max` and `entries_bytes_max` in [the settings](crate::config)),
    /// the node has not joined or has ended, or its wire is that of pekonode. The empty key is that
    /// of the metadata: to put it is to [publish](NodeList::publish), and it neither expires nor is
    /// bound nor deleted.
    pub fn put(&self, key: impl AsRef<str>, data: impl AsRef<[u8]>) -> Put<'_> {
        self.put_to(key, data, 0)
    }

    /// The same as [`NodeList::put`], but returns when at least `holders` other nodes have said
    /// that they hold this value, or a newer one of this key, as [`NodeList::publish_to`] does.
    ///
    /// ```
    /// # use rumormill::{NodeList, NodeListError};
    /// # async fn share(list: &NodeList) -> Result<(), NodeListError> {
    /// match list.put_to("limits/login", "10", 2).await {
    ///     Err(NodeListError::NotConfirmed(why)) => eprintln!("it may be lost with us: {why}"),
    ///     put => println!("{} is held by two others", put?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`NodeList::put`]; and [`NodeListError::NotConfirmed`] when fewer have said so after one
    /// `timeout`. The value is put all the same. Of more than 64 that wait at a time, publishes
    /// among them, the first is answered early.
    pub fn put_to(&self, key: impl AsRef<str>, data: impl AsRef<[u8]>, holders: usize) -> Put<'_> {
        let key = EntryKey::new(key.as_ref());
        let (data, terms) = (data.as_ref().into(), Terms::default());
        Put { list: self, key, data, terms, holders }
    }

    /// Takes its value from a key on every node; the version of the delete, or `None` when there
    /// was no value. It is remembered for `tombstone_ttl`.
    ///
    /// # Errors
    /// As [`NodeList::put`].
    pub async fn delete(&self, key: impl AsRef<str>) -> Result<Option<Version>, NodeListError> {
        let key = EntryKey::new(key.as_ref())?;
        Ok(self.ask(|answer| Request::Delete { key, answer }).await??)
    }

    /// The value of a key as this node holds it: its [data](Entry::data) is always there.
    pub fn entry(&self, key: impl AsRef<str>) -> Option<Entry> {
        self.entries("").get(key.as_ref()).cloned()
    }

    /// The values as this node holds them now whose keys begin with this, all for an empty one: a
    /// snapshot that costs no copy, however many there are. The metadata is the first of all, with
    /// the empty key.
    pub fn entries(&self, prefix: impl Into<String>) -> EntriesSnapshot {
        let view = self.shared.view.borrow();
        let (entries, as_of) = view.entries.clone();
        let (prefix, listed) = (prefix.into(), view.list.clone());
        let nameless = view.metadata.as_ref().filter(|_| prefix.is_empty());
        let nameless = nameless.map(Entry::of_metadata);
        EntriesSnapshot { prefix, nameless, entries, as_of, listed, lives: OnceLock::new() }
    }

    /// What the values are whose keys begin with this, and then each that changes: see
    /// [`EntryWatch`].
    pub fn watch(&self, prefix: impl Into<String>) -> EntryWatch {
        // In this order: what happens between the two is in both, and told twice at worst.
        let events = self.subscribe();
        let present = self.entries(prefix);
        let ahead: Vec<Entry> = present.iter().cloned().collect();
        EntryWatch { list: self.clone(), prefix: present.prefix, events, ahead: ahead.into_iter() }
    }
}

/// A value on its way to all nodes: from [`NodeList::put`] and [`NodeList::put_to`].
#[must_use = "nothing is put before it is awaited"]
#[derive(Clone, Debug)]
pub struct Put<'a> {
    list: &'a NodeList,
    key: Result<EntryKey, crate::core::EntryKeyError>,
    data: Arc<[u8]>,
    terms: Terms,
    holders: usize,
}

impl Put<'_> {
    /// Has it shown only as long as this incarnation of the node is listed, as the registration of
    /// a service: hidden where the node is taken for dead, shown again where it turns out to live,
    /// and over for good when it leaves, restarts or says something else of itself.
    pub fn bound(mut self) -> Self {
        self.terms.bound = true;
        self
    }

    /// Has it expire at this age, by the time that passes on each node and not by their clocks.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.terms.ttl = Some(ttl);
        self
    }

    async fn put(self) -> Result<Version, NodeListError> {
        let Self { list, key, data, terms, holders } = self;
        let key = key?;
        if key.as_str().is_empty() && terms == Terms::default() {
            return list.publish_to(data, holders).await;
        }
        Ok(list.ask(|answer| Request::Put { key, data, terms, holders, answer }).await??)
    }
}

impl<'a> IntoFuture for Put<'a> {
    type Output = Result<Version, NodeListError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.put())
    }
}

/// The values of one moment, in order of their keys.
#[derive(Clone, Debug)]
pub struct EntriesSnapshot {
    prefix: String,
    /// The metadata, if its key begins with the prefix.
    nameless: Option<Entry>,
    entries: EntriesView,
    as_of: Instant,
    listed: Listed,
    /// Who is listed, once a bound value asks for it.
    lives: OnceLock<BTreeSet<Incarnation>>,
}

impl EntriesSnapshot {
    /// The value of a key that begins with the prefix.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        if key.is_empty() {
            return self.nameless.as_ref();
        }
        let is_of = key.starts_with(&self.prefix);
        self.entries.get(key, self.as_of).filter(|entry| is_of && self.is_shown(entry))
    }

    /// All of them, in order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        let held = self.entries.prefix(&self.prefix, self.as_of);
        let named = held.filter(|entry| !entry.key().as_str().is_empty() && self.is_shown(entry));
        self.nameless.iter().chain(named)
    }

    fn is_shown(&self, entry: &Entry) -> bool {
        let lives = || self.listed.records().iter().map(|record| record.incarnation()).collect();
        !entry.terms().bound || self.lives.get_or_init(lives).contains(&entry.stamp().writer())
    }
}

/// What is told of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryNotice {
    /// A key has this value.
    Present(Entry),
    /// A key has none any more: it was deleted or has expired.
    Gone(EntryKey),
    /// So many notices of the node were missed, because they were not taken in time: what is held
    /// now is told next, and whoever has gone meanwhile is not.
    Missed(u64),
}

/// The values whose keys begin with a prefix, and their changes, from [`NodeList::watch`]; a
/// [`Stream`] of them as well. First each that is held, in order of the keys; then what changes. A
/// value may be told twice, never an older one after a newer.
pub struct EntryWatch {
    list: NodeList,
    prefix: String,
    events: Events,
    ahead: std::vec::IntoIter<Entry>,
}

impl EntryWatch {
    /// Waits for the next; `None` once the last clone of the [`NodeList`] is dropped but this
    /// one's. Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<EntryNotice> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<EntryNotice>> {
        if let Some(entry) = self.ahead.next() {
            return Poll::Ready(Some(EntryNotice::Present(entry)));
        }
        loop {
            let polled = Pin::new(&mut self.events).poll_next(context);
            match ready!(polled) {
                Some(Notice::Event(Event::Entry(entry))) => {
                    if entry.key().as_str().starts_with(&self.prefix) {
                        return Poll::Ready(Some(notice_of(entry)));
                    }
                }
                Some(Notice::Event(Event::Published(metadata))) if self.prefix.is_empty() => {
                    let entry = Entry::of_metadata(&metadata);
                    return Poll::Ready(Some(EntryNotice::Present(entry)));
                }
                Some(Notice::Missed(count)) => {
                    let present = self.list.entries(self.prefix.clone());
                    let ahead: Vec<Entry> = present.iter().cloned().collect();
                    self.ahead = ahead.into_iter();
                    return Poll::Ready(Some(EntryNotice::Missed(count)));
                }
                Some(_) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

fn notice_of(entry: Entry) -> EntryNotice {
    match entry.data() {
        Some(_) => EntryNotice::Present(entry),
        None => EntryNotice::Gone(entry.key().clone()),
    }
}

impl Stream for EntryWatch {
    type Item = EntryNotice;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<EntryNotice>> {
        self.poll_recv(context)
    }
}

impl fmt::Debug for EntryWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryWatch").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
