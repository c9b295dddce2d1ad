//! State folders: what of a node outlasts its process, on disk.
//!
//! A node with a [`state_dir`](crate::config) keeps there the metadata, the entries, its generation
//! and where it met others, and goes on with them when it starts again: in a new incarnation it
//! holds what it held, and dials those whom it remembers beside its seeds. It takes the feature
//! `persist`, which brings [redb](https://docs.rs/redb) along.
//!
//! # What is sure to be there
//! What has changed is written every `state_flush`, all of it of one moment and in one transaction:
//! whatever is cut short leaves the one before. And it is written before the node says to anybody
//! that it holds something, as by the acknowledgement that [`NodeList::put_to`] and
//! [`NodeList::publish_to`] wait for. So of a cluster whose nodes all have a folder, and are all
//! killed at one moment, nothing is lost that one other was said to hold, and nothing that is older
//! than `state_flush`. Only what says so waits for the disk: a slow one makes such puts slow, and
//! its node is taken for dead by nobody. Where a disk fails, the node goes on, says of nothing new
//! that it holds it, and tells its service so ([`Notice::NotKept`]).
//!
//! # How old things are
//! Tombstones, and puts that expire, get older while a node is down. How long that was only wall
//! clocks say, and only they are believed for that: where they say that no time has passed, none
//! has. An entry that is too young by that is put right by the first node that knows better. One
//! that is too old, because the clock was set ahead meanwhile, ends everywhere as if its time had
//! come: set clocks right before nodes start that hold leases.
//!
//! # Whose a folder is
//! A folder is one node's, and of one cluster; a node that comes back at another address is known
//! by its name. What is wrong with one is a [`StateError`], and [`NodeList::join`] fails: nothing
//! of the folder is taken, nothing in it is deleted. [`reset_state`] moves it out of the way.
//!
//! [`NodeList::join`]: crate::NodeList::join
//! [`NodeList::put_to`]: crate::NodeList::put_to
//! [`NodeList::publish_to`]: crate::NodeList::publish_to
//! [`Notice::NotKept`]: crate::Notice::NotKept

#[cfg(not(feature = "persist"))]
mod absent;
#[cfg(feature = "persist")]
mod file;
#[cfg(feature = "persist")]
mod folder;
#[cfg(all(test, feature = "persist"))]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::core::KeptState;
use crate::node::Generation;
use crate::text::Printable;

#[cfg(not(feature = "persist"))]
pub(crate) use self::absent::NoFolder as StateFolder;
#[cfg(feature = "persist")]
pub(crate) use self::folder::StateFolder;

/// Whose a folder is. A node that comes back at another address is known by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateOwner {
    /// Where it is reached.
    pub addr: SocketAddr,
    /// Its name, which may be empty.
    pub name: String,
    /// The cluster that it is of.
    pub cluster: String,
}

#[cfg(feature = "persist")]
impl StateOwner {
    /// Whether both are the same node.
    fn is_same(&self, other: &Self) -> bool {
        let has_name = !self.name.is_empty() && self.name == other.name;
        self.cluster == other.cluster && (self.addr == other.addr || has_name)
    }
}

impl fmt::Display for StateOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { addr, name, cluster } = self;
        write!(f, "node {addr} named `{}` of cluster `{}`", Printable(name), Printable(cluster))
    }
}

/// What a node finds when it starts.
#[derive(Debug)]
pub(crate) struct OpenedState {
    pub(crate) folder: StateFolder,
    /// What was kept, aged by the time since.
    pub(crate) kept: KeptState,
    /// As which it starts: above what was kept, and kept itself by now.
    pub(crate) generation: Generation,
}

/// Why a folder can't be used. It is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// There is something else in its place.
    #[error(
        "the state folder `{}` is a file: name a folder in `state_dir`, or move the file away",
        shown(path)
    )]
    NotAFolder {
        /// Where.
        path: PathBuf,
    },
    /// It can't be read or written.
    #[error(
        "the state folder `{}` cannot be used: {source}: let this process read and write there, or \
         name another in `state_dir`",
        shown(path)
    )]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no room on its disk.
    #[error("the disk of the state folder `{}` is full: free some of it", shown(path))]
    Full {
        /// Where.
        path: PathBuf,
    },
    /// It is another node's.
    #[error(
        "the state folder `{}` is that of {found}, and this is {ours}: give each node a folder of \
         its own, or move this one away with `reset_state`",
        shown(path)
    )]
    Foreign {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        found: Box<StateOwner>,
        /// Who asked.
        ours: Box<StateOwner>,
    },
    /// A newer build has written it.
    #[error(
        "the state folder `{}` has format {found}, and this build knows those up to {known}: run \
         the build that wrote it, or move it away with `reset_state`",
        shown(path)
    )]
    Newer {
        /// Where.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest format that this build knows.
        known: u32,
    },
    /// A living process has it.
    #[error(
        "the state folder `{}` is in use by process {by}: end that, or give each node a folder of \
         its own",
        shown(path)
    )]
    Locked {
        /// Where.
        path: PathBuf,
        /// The number of the process, as far as it is known.
        by: String,
    },
    /// Its bytes are not those that were written.
    #[error(
        "the state folder `{}` is damaged: {why}: put a copy in its place, or move it away with \
         `reset_state`, and what others hold comes back from them",
        shown(path)
    )]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// This build can't keep anything.
    #[error("this program was built without the feature `persist` of rumormill: add it")]
    NotBuiltIn,
}

fn shown(path: &Path) -> Printable<String> {
    Printable(path.display().to_string())
}

/// Moves a state folder out of the way, so that its node starts without: to the first free name
/// with `.old-1`, `.old-2` and so on behind it, which is returned. Nothing is deleted. Without a
/// folder there nothing happens. For a folder whose node does not run.
///
/// # Errors
/// When it can't be moved.
pub fn reset_state(path: impl AsRef<Path>) -> io::Result<Option<PathBuf>> {
    let path = path.as_ref();
    if !path.try_exists()? {
        return Ok(None);
    }
    let beside = |number: u32| {
        let mut name = path.components().as_path().as_os_str().to_owned();
        name.push(format!(".old-{number}"));
        PathBuf::from(name)
    };
    let mut number = 1;
    while beside(number).try_exists()? {
        number += 1;
    }
    let to = beside(number);
    std::fs::rename(path, &to)?;
    Ok(Some(to))
}
