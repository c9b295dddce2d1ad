//! The least that it takes to tell many sockets of one process something: a tree, and no protocol.
//!
//! Each node hands on what it got to the next few, as it came: no list, no acknowledgement, no
//! repair, no reader. What a publish takes beyond this is the engine's.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::Failure;
use crate::measures::now;

/// To how many a node hands on.
const FAN_OUT: usize = 8;

/// What is told: about as long as a rumor with a short value.
const TOLD: [u8; 96] = [7; 96];

/// Longer than any datagram of ours.
const BUFFER_LEN: usize = 2_048;

/// Sockets on loopback, each with a task.
pub(crate) struct Tree {
    nodes: Vec<TreeNode>,
    arrivals: mpsc::UnboundedReceiver<Instant>,
    /// Ended with the tree.
    _tasks: JoinSet<()>,
}

#[derive(Clone)]
struct TreeNode {
    socket: Arc<UdpSocket>,
    children: Arc<[SocketAddr]>,
}

impl Tree {
    /// Binds so many sockets.
    pub(crate) async fn plant(nodes: usize) -> io::Result<Self> {
        let (mut sockets, mut addrs) = (Vec::new(), Vec::new());
        for _ in 0..nodes {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            addrs.push(socket.local_addr()?);
            sockets.push(Arc::new(socket));
        }
        let children = |number: usize| {
            let first = (FAN_OUT * number + 1).min(nodes);
            addrs[first..(first + FAN_OUT).min(nodes)].into()
        };
        let node = |(number, socket)| TreeNode { socket, children: children(number) };
        let nodes: Vec<_> = sockets.into_iter().enumerate().map(node).collect();
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for node in nodes.iter().skip(1) {
            tasks.spawn(node.clone().relay(arrived.clone()));
        }
        Ok(Self { nodes, arrivals, _tasks: tasks })
    }

    /// Tells all, and returns how long that took.
    pub(crate) async fn tell(&mut self, patience: Duration) -> Result<Duration, Failure> {
        let start = now();
        self.nodes[0].hand_on(&TOLD)?;
        let mut last = start;
        let all = async {
            for _ in 1..self.nodes.len() {
                let Some(at) = self.arrivals.recv().await else { return };
                last = last.max(at);
            }
        };
        timeout(patience, all).await.map_err(|_| "the bare tree lost a datagram")?;
        Ok(last - start)
    }
}

impl TreeNode {
    async fn relay(self, arrived: mpsc::UnboundedSender<Instant>) {
        let mut buffer = [0; BUFFER_LEN];
        while self.socket.readable().await.is_ok() {
            while let Ok(len) = self.socket.try_recv(&mut buffer) {
                // Nobody reads after the end of the run.
                let _ = arrived.send(now());
                if let Err(error) = self.hand_on(&buffer[..len]) {
                    eprintln!("the bare tree could not send: {error}");
                }
            }
        }
    }

    fn hand_on(&self, bytes: &[u8]) -> io::Result<()> {
        self.children.iter().try_for_each(|&child| self.socket.try_send_to(bytes, child).map(drop))
    }
}
