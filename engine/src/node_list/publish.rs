//! Publishing: what a caller is told of the value that it gave to the cluster.

use super::{NodeList, NodeListError};
#[cfg(doc)]
use crate::core::Event;
use crate::core::{Value, Version};
use crate::net::{Request, Unmet};

impl NodeList {
    /// Makes these bytes the metadata of the whole cluster and returns their version. When this
    /// returns, [`NodeList::read`] gives them here, unless a newer version has arrived since; the
    /// other nodes follow within a few network delays. `Ok` promises nothing of the others: a node
    /// that crashes now may take the bytes with it. One that [leaves](NodeList::leave) hands them
    /// on first, and [`NodeList::publish_to`] waits until others hold them.
    ///
    /// The last writer wins: a publish replaces whatever this node has seen, wherever its clock
    /// stands. Of values published by nodes that have not seen each other's, all come to hold the
    /// one with the later time. A clock that is further from the others' than `clock_skew_max`
    /// doesn't count, and what a version from the future overtakes unseen within the `timeout` is
    /// published once more above it; [`Event::Superseded`] tells of both.
    ///
    /// It is `async` because the version is made by the node's own task, with no lock around its
    /// state. If the future is dropped, the bytes may be published all the same.
    ///
    /// # Errors
    /// When the node has not joined or has ended, the bytes are more than fit, or somebody has made
    /// up a version that nothing ranks above.
    pub async fn publish(&self, data: impl AsRef<[u8]>) -> Result<Version, NodeListError> {
        self.publish_to(data, 0).await
    }

    /// The same as [`NodeList::publish`], but returns when at least `holders` other nodes have
    /// said that they hold these bytes, or a newer version that replaced them. As many are told
    /// by this node itself, which takes about a round trip; a node that joins while it waits
    /// counts too. They hold them in memory.
    ///
    /// ```
    /// # use rumormill::core::NotConfirmed;
    /// # use rumormill::{NodeList, NodeListError};
    /// # async fn raise(list: &NodeList) -> Result<(), NodeListError> {
    /// match list.publish_to("limit=10", 2).await {
    ///     Err(NodeListError::NotConfirmed(NotConfirmed { version, held_by })) => {
    ///         println!("{version} is published, but only {held_by} others are known to hold it");
    ///     }
    ///     published => println!("{} is held by two others", published?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`NodeList::publish`]; and [`NodeListError::NotConfirmed`] when fewer have said so after
    /// one `timeout`, or with `wire = "pekonode"`, where nobody says so, at once. The bytes are
    /// published all the same. Of more than 64 that wait at a time the first is answered early.
    pub async fn publish_to(
        &self,
        data: impl AsRef<[u8]>,
        holders: usize,
    ) -> Result<Version, NodeListError> {
        let value = Value::new(data.as_ref(), &self.config)?;
        Ok(self.ask(|answer| Request::Publish { value, holders, answer }).await??)
    }
}

impl<E: Into<NodeListError>> From<Unmet<E>> for NodeListError {
    fn from(unmet: Unmet<E>) -> Self {
        match unmet {
            Unmet::Refused(why) => why.into(),
            Unmet::NotConfirmed(why) => Self::NotConfirmed(why),
        }
    }
}
