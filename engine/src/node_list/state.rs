//! What a node finds of its former lives when it joins.

use tokio::task::spawn_blocking;

use super::{NodeList, NodeListError};
use crate::core::{KeptState, Moment, Outbox};
use crate::net::{Dialect, Keeping};
use crate::node::{Generation, Node};
use crate::state::{OpenedState, StateFolder, StateOwner};
use crate::time::Now;

/// What a life begins with.
pub(super) struct Beginning {
    pub(super) generation: Generation,
    folder: Option<(StateFolder, KeptState)>,
}

impl NodeList {
    /// Opens the folder of a node, if it has one, and decides as which incarnation it starts: above
    /// the last, whatever the clock says.
    pub(super) async fn begin(&self, node: &Node, now: Now) -> Result<Beginning, NodeListError> {
        let last = self.shared.view.borrow().generation;
        let Some(path) = self.config.state_dir().map(ToOwned::to_owned) else {
            let generation = Generation::start(last, now.wall);
            return Ok(Beginning { generation, folder: None });
        };
        let (name, cluster) = (node.name().to_owned(), self.config.cluster().to_owned());
        let owner = StateOwner { addr: node.addr(), name, cluster };
        let open = move || StateFolder::open(&path, owner, last, now);
        let opened = spawn_blocking(open).await.expect("it is never cancelled, nor panics");
        let OpenedState { folder, kept, generation } = opened?;
        Ok(Beginning { generation, folder: Some((folder, kept)) })
    }

    /// Gives a node back what it had kept.
    pub(super) fn take_back<D: Dialect>(
        &self,
        engine: &mut D,
        beginning: Beginning,
        now: Now,
    ) -> (Keeping<D::Packet>, Outbox<D::Packet>) {
        let (mut out, period) = (Outbox::new(), self.config.state_flush());
        let Some((mut folder, kept)) = beginning.folder else {
            return (Keeping::new(None, Moment::default(), period), out);
        };
        let fingerprints = kept.fingerprints();
        engine.take_back(now, kept, &mut out);
        let moment = engine.moment(now).filter(|moment| moment.fingerprints() == fingerprints);
        if moment.is_some() {
            folder.is_held();
        }
        (Keeping::new(Some(folder), moment.unwrap_or_default(), period), out)
    }
}
