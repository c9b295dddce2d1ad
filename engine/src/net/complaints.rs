//! What the console says on the wire of pekonode of packets that are refused, in the words of Go.
//!
//! A Go node says so of every packet. Here each complaint is made once a second at most, so that
//! a stranger fills no disk.

use std::time::Duration;

use super::console::ConsoleLine;
use crate::allowance::Allowance;
use crate::time::Instant;
use crate::wire;

/// Between two lines of one kind.
const PAUSE: Duration = Duration::from_secs(1);

/// What is wrong with bytes that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// They are no JSON, for this reason.
    NoJson(String),
    /// They reach the limit.
    TooLong { limit: usize },
}

impl Complaint {
    /// What a Go node with this `size` says of these bytes; `None` where it finds no fault, or
    /// puts it in other words.
    pub(super) fn of(bytes: &[u8], size: usize) -> Option<Self> {
        if bytes.len() >= size {
            return Some(Self::TooLong { limit: size });
        }
        wire::pekonode::complaint(bytes).map(Self::NoJson)
    }

    fn line(&self) -> ConsoleLine<'_> {
        match self {
            Self::NoJson(why) => ConsoleLine::NoJson(why),
            // Go reads no more than that, so that it knows of no more.
            Self::TooLong { limit } => ConsoleLine::TooLong { len: *limit, limit: *limit },
        }
    }
}

/// What was said lately.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// Packets with a wrong key, as far as the console knows of them.
    keys: u64,
    of_keys: Allowance,
    of_no_json: Allowance,
    of_length: Allowance,
}

impl Complaints {
    /// The line about this, unless it was said a moment ago.
    pub(super) fn make<'a>(
        &mut self,
        now: Instant,
        complaint: &'a Complaint,
    ) -> Option<ConsoleLine<'a>> {
        let lines = match complaint {
            Complaint::NoJson(_) => &mut self.of_no_json,
            Complaint::TooLong { .. } => &mut self.of_length,
        };
        lines.take(now, PAUSE, 1).then(|| complaint.line())
    }

    /// The line about packets with a wrong key, of which so many have come.
    pub(super) fn of_keys(&mut self, now: Instant, counted: u64) -> Option<ConsoleLine<'static>> {
        if counted <= self.keys || !self.of_keys.take(now, PAUSE, 1) {
            return None;
        }
        self.keys = counted;
        Some(ConsoleLine::WrongKey)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::time::sleep;

    use super::super::console::kept;
    use crate::config::{Config, TransportKind, Wire};
    use crate::link::Link;
    use crate::net::MemoryNetwork;
    use crate::node::Node;
    use crate::node_list::NodeList;

    use super::*;

    const CYCLE: Duration = Duration::from_secs(1);

    fn config(wire: Wire, protocol: TransportKind) -> Config {
        let config = Config::builder().wire(wire).protocol(protocol).cycle(CYCLE).size(8_192);
        config.print(true).build().unwrap()
    }

    fn lines_with(part: &str) -> Vec<String> {
        kept::take().into_iter().filter(|line| line.contains(part)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_packet_is_complained_of_in_the_words_of_go_once_a_second() {
        let network = MemoryNetwork::new(1, Link::uniform(Duration::ZERO, Duration::ZERO));
        let config = config(Wire::Pekonode, TransportKind::Udp);
        let list = network.node(Node::new("10.0.0.1:8000"), config).unwrap();
        list.join().await.unwrap();
        let stranger = network.bind("10.0.0.3:8000".parse().unwrap()).unwrap();
        for _ in 0..2 {
            for _ in 0..10 {
                for bytes in [&b"rm\x1b[2J"[..], &[b'{'; 8_192], &[b'{'; 30_000], b"\x1b", b"[]"] {
                    stranger.send(bytes, list.node().addr());
                }
            }
            sleep(CYCLE * 11 / 10).await;
            let told = [
                "[[Error]: invalid character 'r' looking for beginning of value]",
                "[[Error]: received data size (8192) exceeds the limit (8192)]",
            ];
            assert_eq!(lines_with("Error"), told);
        }
        assert_eq!(list.stats().rejected.total(), 100, "all are counted");
    }

    #[tokio::test]
    async fn what_comes_by_stream_is_complained_of_as_well() {
        let config = config(Wire::Pekonode, TransportKind::Tcp);
        let list = NodeList::new(Node::new("127.0.0.1:0"), config).unwrap();
        list.join().await.unwrap();
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[b'1'; 9_000], b""] {
            let mut stream = std::net::TcpStream::connect(list.local_addr().unwrap()).unwrap();
            stream.write_all(bytes).unwrap();
        }
        while list.stats().rejected.total() < 3 {
            sleep(Duration::from_millis(1)).await;
        }
        list.leave().await.unwrap();
        let mut told = lines_with("Error");
        told.sort();
        let expected = [
            "[[Error]: invalid character 'G' looking for beginning of value]",
            "[[Error]: received data size (8192) exceeds the limit (8192)]",
        ];
        assert_eq!(told, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn the_list_is_told_once_a_cycle_as_go_does_and_not_by_a_node_that_is_stopped() {
        let network = MemoryNetwork::new(1, Link::uniform(Duration::ZERO, Duration::ZERO));
        let config = config(Wire::Pekonode, TransportKind::Udp);
        let lists = [1, 2].map(|host| {
            network.node(Node::new(format!("10.0.0.{host}:8000")), config.clone()).unwrap()
        });
        lists[0].join().await.unwrap();
        let of_first = || lines_with("[Listen]: 10.0.0.1:8000").len();
        sleep(CYCLE * 10 + CYCLE / 2).await;
        assert_eq!(of_first(), 11, "one when it joined, and ten");
        lists[1].set("10.0.0.1:8000").unwrap();
        lists[1].join().await.unwrap();
        sleep(CYCLE * 10).await;
        assert_eq!(of_first(), 10, "that another joined makes no more of them");
        lists[0].stop();
        sleep(CYCLE * 10).await;
        assert_eq!(of_first(), 0);
        lists[0].start();
        sleep(CYCLE * 3 + CYCLE / 2).await;
        assert_eq!(of_first(), 4, "the first one at once");
    }

    #[tokio::test(start_paused = true)]
    async fn on_our_own_wire_the_list_is_told_when_it_changes_and_nothing_in_the_words_of_go() {
        let network = MemoryNetwork::new(1, Link::uniform(Duration::ZERO, Duration::ZERO));
        let config = config(Wire::Native, TransportKind::Udp);
        let list = network.node(Node::new("10.0.0.1:8000"), config).unwrap();
        list.join().await.unwrap();
        let stranger = network.bind("10.0.0.3:8000".parse().unwrap()).unwrap();
        stranger.send(b"hello", list.node().addr());
        sleep(CYCLE * 10).await;
        assert_eq!(list.stats().rejected.total(), 1);
        let lines = kept::take();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].starts_with("[[Listen]: 10.0.0.1:8000"), "{lines:?}");
    }
}
