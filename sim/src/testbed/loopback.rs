//! Real nodes in this process, on sockets of loopback.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rumormill::core::{Record, Stats};
use rumormill::{Node, NodeList, NodeListError};
use tokio::time::sleep;

use super::TestbedError;
use super::bed::{Bed, Flow, Tap};
use super::play::Hosts;
use crate::observe::cast::IncarnationNo;
use crate::scenario::plan::{Action, Manner, NodeNo, Plan};

/// Between two tries to bind a port that packets under way still hold.
const BIND_PAUSE: Duration = Duration::from_millis(1);

/// Longest wait for such a port.
const BIND_PATIENCE: Duration = Duration::from_secs(5);

/// The nodes of a run.
pub(super) struct Loopback<'p> {
    plan: &'p Plan,
    bed: Arc<Bed>,
    /// By node.
    hosts: Vec<Option<Host>>,
}

/// A node that runs.
struct Host {
    list: Arc<NodeList>,
    tap: Arc<Tap>,
}

impl<'p> Loopback<'p> {
    pub(super) fn new(plan: &'p Plan, bed: Arc<Bed>) -> Self {
        let hosts = (0..plan.nodes_ever).map(|_| None).collect();
        Self { plan, bed, hosts }
    }

    fn host(&self, node: NodeNo) -> &Host {
        self.hosts[node as usize].as_ref().expect("the player knows who runs")
    }

    fn prepare(
        &self,
        number: IncarnationNo,
        seeds: &[IncarnationNo],
    ) -> Result<Host, NodeListError> {
        let born = &self.plan.incarnations[number as usize];
        let addr = self.bed.book().addr(number);
        let node = Node::new(addr.to_string());
        let node = node.name(born.public.name()).private_data(born.public.private_data());
        let config = born.config.with_listen_addr((addr.ip(), 0).into());
        let tap = Arc::new(Tap::new(Arc::clone(&self.bed), number, born.node));
        let list = NodeList::intercepted(node, config, Arc::clone(&tap) as Arc<_>)?;
        for &seed in seeds {
            list.set(self.bed.book().addr(seed).to_string())?;
        }
        Ok(Host { list: list.into(), tap })
    }
}

impl Hosts for Loopback<'_> {
    async fn begin(
        &mut self,
        number: IncarnationNo,
        seeds: &[IncarnationNo],
    ) -> Result<Arc<Record>, TestbedError> {
        let host = self.prepare(number, seeds).map_err(|error| failed(&error))?;
        join(&host.list).await.map_err(|error| failed(&error))?;
        let record = host.list.record().expect("it has just joined");
        let node = self.plan.incarnations[number as usize].node;
        self.hosts[node as usize] = Some(host);
        Ok(record)
    }

    async fn restore(&mut self, node: NodeNo, members: &[Arc<Record>]) -> Result<(), TestbedError> {
        let restored = self.host(node).list.restore(members.iter().cloned()).await;
        restored.map_err(|error| failed(&error))
    }

    fn publish(&mut self, node: NodeNo, data: &Arc<[u8]>) {
        let (list, data) = (Arc::clone(&self.host(node).list), Arc::clone(data));
        tokio::spawn(async move {
            // A node that ends meanwhile publishes nothing: the run shows it.
            let _ = list.publish(data).await;
        });
    }

    fn stop(&mut self, node: NodeNo) {
        self.host(node).list.stop();
    }

    fn start(&mut self, node: NodeNo) {
        self.host(node).list.start();
    }

    fn pause(&mut self, node: NodeNo) {
        self.host(node).tap.set(Flow::Paused);
    }

    fn resume(&mut self, node: NodeNo) {
        self.host(node).tap.set(Flow::Running);
    }

    fn exit(&mut self, node: NodeNo, manner: Manner) {
        let Some(host) = self.hosts[node as usize].take() else { return };
        match manner {
            Manner::Crash => host.tap.kill(),
            // A value that goes with it shows by not being held.
            Manner::Leave => drop(tokio::spawn(async move { host.list.leave().await })),
        }
    }

    fn change_network(&mut self, number: usize, action: &Action) -> Result<(), TestbedError> {
        self.bed.act(number, action);
        Ok(())
    }

    fn stats(&self, node: NodeNo) -> Stats {
        self.host(node).list.stats().engine
    }
}

/// Joins, and waits a while for a port that packets of an earlier life still hold.
pub(super) async fn join(list: &NodeList) -> Result<(), NodeListError> {
    let mut waited = Duration::ZERO;
    loop {
        match list.join().await {
            Err(NodeListError::Listen { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && waited < BIND_PATIENCE =>
            {
                sleep(BIND_PAUSE).await;
                waited += BIND_PAUSE;
            }
            joined => return joined,
        }
    }
}

fn failed(error: &NodeListError) -> TestbedError {
    TestbedError::Machine(format!("a real node cannot run: {error}"))
}
