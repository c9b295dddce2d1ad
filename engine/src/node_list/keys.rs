//! Changes the secrets of a node while it runs.

use super::asking::ask;
use super::{HandleState, NodeList, NodeListError};
use crate::config::SecretKey;
use crate::net::Request;
use crate::wire::{Keyring, KeyringError};

/// The secrets of a node, from [`NodeList::keys`]: the first seals what it sends, every one opens
/// what it receives.
///
/// Each change is in use when its method returns, and is kept across joins and leaves of the
/// handle. If the future is dropped, the change may be made all the same.
///
/// To change the secret of a cluster while it runs, take these steps, each on every node before
/// the next; no packet is refused meanwhile:
///
/// ```
/// use rumormill::{Config, Node, NodeList, NodeListError, SecretKey};
///
/// async fn rotate(nodes: &[NodeList], old: &str, new: &str) -> Result<(), NodeListError> {
///     let (old, new) = (SecretKey::from(old), SecretKey::from(new));
///     for node in nodes {
///         node.keys().add(new.clone()).await?;
///     }
///     for node in nodes {
///         node.keys().promote(&new).await?;
///     }
///     for node in nodes {
///         node.keys().remove(&old).await?;
///     }
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::builder().secret_key("old").build()?;
/// let node = NodeList::new(Node::new("127.0.0.1:0"), config)?;
/// node.join().await?;
/// rotate(&[node], "old", "new").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Keys<'a> {
    list: &'a NodeList,
}

impl NodeList {
    /// The secrets of this node, to be changed.
    pub fn keys(&self) -> Keys<'_> {
        Keys { list: self }
    }
}

impl Keys<'_> {
    /// Adds a secret that opens; one that is held already stays what it is.
    ///
    /// # Errors
    /// When the secret is empty, [`Keyring::LEN_MAX`] are held, or the node was configured without
    /// any.
    pub async fn add(&self, secret: SecretKey) -> Result<(), NodeListError> {
        self.change(|keyring| keyring.add(secret)).await
    }

    /// Makes a secret that is held the one that seals. The others must hold it already.
    ///
    /// # Errors
    /// When it is not held, or the node was configured without any.
    pub async fn promote(&self, secret: &SecretKey) -> Result<(), NodeListError> {
        self.change(|keyring| keyring.promote(secret)).await
    }

    /// Removes a secret: packets that are sealed with it are refused and counted.
    ///
    /// # Errors
    /// When it is not held, is the one that seals, or the node was configured without any.
    pub async fn remove(&self, secret: &SecretKey) -> Result<(), NodeListError> {
        self.change(|keyring| keyring.remove(secret)).await
    }

    async fn change(
        &self,
        change: impl FnOnce(&mut Keyring) -> Result<(), KeyringError>,
    ) -> Result<(), NodeListError> {
        let mut state = self.list.state.lock().await;
        let HandleState { keyring, running, .. } = &mut *state;
        let keyring = keyring.as_mut().ok_or(KeyringError::Unsealed)?;
        change(keyring)?;
        let way = running.as_ref().and_then(|_| self.list.line.way());
        let Some(way) = way else { return Ok(()) };
        let keyring = keyring.clone();
        // A task that has ended uses no secret; the next join begins with the new keyring.
        let _ = ask(&way, |answer| Request::Keys { keyring, answer }).await;
        Ok(())
    }
}
