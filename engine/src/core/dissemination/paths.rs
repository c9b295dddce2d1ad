//! Paths: long datagrams may vanish on the way, and what vanished goes by stream.
//!
//! Every path carries [`crate::Config::PATH_SIZE`] bytes. Longer datagrams pass where each link is
//! as wide as the sender's own; elsewhere they get lost without a word, for the message of the
//! router that drops them is filtered in many networks. So nothing that nobody acknowledges is
//! longer, whatever `size` says: lists are cut, values are announced. A rumor with a value up to
//! `size` is tried a few times. Whoever does not answer is told in short what there is, and fetches
//! it by stream; and when it does, those datagrams did not arrive: later ones as long are not tried
//! for a while.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::Dissemination;
use crate::core::context::{Context, rumor_len};
use crate::core::io::Event;
use crate::core::metadata::{Metadata, Version};
use crate::core::packet::{Announcement, Subject};
use crate::time::Instant;

/// What became of long datagrams, by peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    /// At most [`Paths::PEERS_MAX`].
    peers: VecDeque<Path>,
}

/// The way to a peer that was sent long datagrams, or is not any more.
#[derive(Clone, Copy, Debug)]
struct Path {
    peer: SocketAddr,
    tried: Option<Tried>,
    narrow: Option<Narrow>,
}

/// A value that was sent in a long datagram, as often as those go, and then announced.
#[derive(Clone, Copy, Debug)]
struct Tried {
    version: Version,
    len: usize,
    sends: u32,
}

/// Datagrams of so many bytes and more did not arrive.
#[derive(Clone, Copy, Debug)]
struct Narrow {
    len: usize,
    since: Instant,
}

/// How a value goes to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In the rumor of it.
    Whole,
    /// The rumor says which it is, and the peer fetches it by stream.
    Announced,
}

impl Paths {
    /// More peers than a node talks to in a while; of the others it is found out anew.
    pub(crate) const PEERS_MAX: usize = 256;
    /// Losing both of two is rare where packets get lost by chance.
    const TRIES_MAX: u32 = 2;
    /// A path that has become wider is used again after so long, at the price of two tries.
    const MEMORY: Duration = Duration::from_secs(600);

    /// How a value of which the datagram has `len` bytes goes to a peer; one that goes whole is
    /// taken as sent.
    fn way(&mut self, now: Instant, peer: SocketAddr, version: Version, len: usize) -> Way {
        let path = self.path(peer);
        let fresh = path.narrow.filter(|narrow| now - narrow.since < Self::MEMORY);
        if fresh.is_some_and(|narrow| len >= narrow.len) {
            return Way::Announced;
        }
        let tried = path.tried.filter(|tried| tried.version == version);
        let tried = tried.unwrap_or(Tried { version, len, sends: 0 });
        path.tried = Some(Tried { sends: tried.sends.saturating_add(1), ..tried });
        if tried.sends < Self::TRIES_MAX { Way::Whole } else { Way::Announced }
    }

    /// True while a value went whole to a peer each time that it went there.
    fn went_whole(&self, peer: SocketAddr, version: Version) -> bool {
        let path = self.peers.iter().find(|path| path.peer == peer);
        let tried = path.and_then(|path| path.tried);
        tried.is_some_and(|tried| tried.version == version && tried.sends <= Self::TRIES_MAX)
    }

    /// A peer asks for a value: where it was sent that as often as we try, those datagrams did not
    /// arrive. How long they were, the first time that this is found out of the peer.
    fn asked_for(&mut self, now: Instant, peer: SocketAddr, version: Version) -> Option<Discovery> {
        let path = self.peers.iter_mut().find(|path| path.peer == peer)?;
        let vain = |tried: &mut Tried| tried.version == version && tried.sends >= Self::TRIES_MAX;
        let Tried { len, .. } = path.tried.take_if(vain)?;
        let is_new = planted!(PathToldAgain, path.narrow.is_none(), true);
        path.narrow = Some(Narrow { len, since: now });
        Some(if is_new { Discovery::First(len) } else { Discovery::Again })
    }

    /// The entry of a peer. When there are too many, what was found out outlives what is tried.
    fn path(&mut self, peer: SocketAddr) -> &mut Path {
        let at = match self.peers.iter().position(|path| path.peer == peer) {
            Some(at) => at,
            None => {
                if self.peers.len() == Self::PEERS_MAX {
                    let idle = self.peers.iter().position(|path| path.narrow.is_none());
                    self.peers.remove(idle.unwrap_or(0));
                }
                self.peers.push_back(Path { peer, tried: None, narrow: None });
                self.peers.len() - 1
            }
        };
        &mut self.peers[at]
    }
}

/// A path turned out to be narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Discovery {
    /// For datagrams of so many bytes, which nobody knew.
    First(usize),
    /// Still, or for shorter ones than was known.
    Again,
}

impl Dissemination {
    /// The same topic as it is told to this peer now: in short where the whole of it is longer
    /// than every path carries and did not arrive there.
    pub(super) fn passable(
        &mut self,
        cx: &mut Context<'_>,
        peer: SocketAddr,
        topic: Subject,
    ) -> Subject {
        let Subject::Metadata(metadata) = &topic else { return topic };
        let len = rumor_len(metadata);
        if len <= cx.config.path_len_max() {
            return topic;
        }
        let datagram = len + cx.config.guard_len();
        match self.paths.way(cx.now.mono, peer, metadata.version(), datagram) {
            Way::Whole => topic,
            Way::Announced => Subject::Announced(Announcement::of(metadata)),
        }
    }

    /// True when a peer that acknowledges a rumor of this value holds it: what it was sent is the
    /// value, and not only the news of it.
    pub(super) fn is_held_by_who_acknowledges(
        &self,
        cx: &Context<'_>,
        peer: SocketAddr,
        metadata: &Metadata,
    ) -> bool {
        rumor_len(metadata) <= cx.config.path_len_max()
            || self.paths.went_whole(peer, metadata.version())
    }

    /// Learns of the way to a peer from its asking for a value.
    pub(crate) fn judge_path(&mut self, cx: &mut Context<'_>, peer: SocketAddr, version: Version) {
        let Some(discovery) = self.paths.asked_for(cx.now.mono, peer, version) else { return };
        cx.stats.paths_narrow += 1;
        if let Discovery::First(len) = discovery {
            cx.out.event(Event::PathNarrow { peer, len });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeId;

    const LONG: usize = 1_300;

    fn version(nanos: i64) -> Version {
        Version { nanos, writer: NodeId(1), digest: [0; 16] }
    }

    fn peer(number: usize) -> SocketAddr {
        ([10, 0, (number >> 8) as u8, number as u8], 8_000).into()
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    /// Has two tries of a value be in vain.
    fn fail(paths: &mut Paths, now: Instant, peer: SocketAddr, version: Version, len: usize) {
        assert_eq!(paths.way(now, peer, version, len), Way::Whole);
        assert_eq!(paths.way(now, peer, version, len), Way::Whole);
        assert_eq!(paths.way(now, peer, version, len), Way::Announced);
        assert!(paths.asked_for(now, peer, version).is_some());
    }

    #[test]
    fn what_is_as_long_as_what_did_not_arrive_is_not_tried_and_what_is_shorter_is() {
        let mut paths = Paths::default();
        fail(&mut paths, at(0), peer(1), version(1), LONG);
        assert_eq!(paths.way(at(1), peer(1), version(2), LONG), Way::Announced);
        assert_eq!(paths.way(at(1), peer(1), version(2), LONG + 1), Way::Announced);
        assert_eq!(paths.way(at(1), peer(2), version(2), LONG), Way::Whole, "another peer");
        fail(&mut paths, at(2), peer(1), version(3), LONG - 50);
        assert_eq!(paths.way(at(3), peer(1), version(4), LONG - 50), Way::Announced);
    }

    #[test]
    fn a_path_is_used_again_after_ten_minutes_and_told_once() {
        let mut paths = Paths::default();
        for send in 0..2 {
            assert_eq!(paths.way(at(send), peer(1), version(1), LONG), Way::Whole);
        }
        let found = paths.asked_for(at(2), peer(1), version(1));
        assert_eq!(found, Some(Discovery::First(LONG)));
        assert_eq!(paths.asked_for(at(2), peer(1), version(1)), None, "it asks twice");
        assert_eq!(paths.way(at(601), peer(1), version(2), LONG), Way::Announced);
        assert_eq!(paths.way(at(602), peer(1), version(3), LONG), Way::Whole);
        assert_eq!(paths.way(at(603), peer(1), version(3), LONG), Way::Whole);
        assert_eq!(paths.asked_for(at(604), peer(1), version(3)), Some(Discovery::Again));
    }

    #[test]
    fn who_asks_for_what_was_sent_once_or_for_another_value_says_nothing_of_its_path() {
        let mut paths = Paths::default();
        assert_eq!(paths.way(at(0), peer(1), version(1), LONG), Way::Whole);
        assert_eq!(paths.asked_for(at(1), peer(1), version(1)), None);
        assert_eq!(paths.way(at(1), peer(1), version(1), LONG), Way::Whole);
        assert_eq!(paths.asked_for(at(1), peer(1), version(2)), None);
        assert_eq!(paths.asked_for(at(1), peer(2), version(1)), None);
    }

    #[test]
    fn peers_beyond_the_limit_make_room_for_each_other_and_not_for_what_was_found_out() {
        let mut paths = Paths::default();
        fail(&mut paths, at(0), peer(0), version(1), LONG);
        for other in 1..=2 * Paths::PEERS_MAX {
            paths.way(at(1), peer(other), version(1), LONG);
        }
        assert_eq!(paths.peers.len(), Paths::PEERS_MAX);
        assert_eq!(paths.way(at(1), peer(0), version(2), LONG), Way::Announced);
        for other in 1..=Paths::PEERS_MAX {
            fail(&mut paths, at(2), peer(other), version(3), LONG);
        }
        assert_eq!(paths.peers.len(), Paths::PEERS_MAX);
        assert_eq!(paths.way(at(2), peer(0), version(4), LONG), Way::Whole, "the oldest");
    }
}
