//! The folder of one node while it runs: locked, and written in whole moments.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{Fault, StateFile, Stored};
use super::{OpenedState, StateError, StateOwner};
use crate::core::Moment;
use crate::node::Generation;
use crate::time::{Instant, Now};

/// What is held by a living process.
const LOCK: &str = "lock";
/// What was kept.
const STATE: &str = "state.redb";
/// The same while it is made: under its own name there is never a part of one.
const UNBORN: &str = "state.new";

/// Generations between the one that was kept and the next: those that a node took for changes of
/// its own, which it may have told before they were written.
const UNWRITTEN_GENERATIONS: u64 = 1 << 20;

/// The folder of a node that runs.
#[derive(Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
    /// `None` after an error: a database that had one is opened anew.
    file: Option<StateFile>,
    /// What is written next is all, instead of what has changed.
    whole: bool,
    /// How long this node lived when it started, and when that was.
    lived: Duration,
    since: Instant,
    /// The last field: the folder is another's as soon as it goes.
    _lock: File,
}

impl StateFolder {
    /// Takes a folder, which is made if there is none, and reads it. The generation to start with
    /// lies above the one that was kept, and above `last`; it is kept when this returns.
    ///
    /// How old the entries are by now takes a clock: the time since the last flush is what wall
    /// clocks say that it is, and nothing where they say that it is less.
    ///
    /// # Errors
    /// When it can't be used; then it is as it was.
    pub(crate) fn open(
        path: &Path,
        owner: StateOwner,
        last: Option<Generation>,
        now: Now,
    ) -> Result<OpenedState, StateError> {
        let fault = |fault: Fault| fault.at(path);
        let lock = lock(path)?;
        let at = path.join(STATE);
        if !at.try_exists().map_err(|error| fault(error.into()))? {
            create(path, &owner).map_err(fault)?;
        }
        let file = StateFile::open(&at).map_err(fault)?;
        let Stored { owner: found, life, kept } = file.read(now).map_err(fault)?;
        if !found.is_same(&owner) {
            let (found, ours) = (found.into(), owner.into());
            return Err(StateError::Foreign { path: path.to_owned(), found, ours });
        }
        let above = Generation::new(life.generation.get() + UNWRITTEN_GENERATIONS);
        let last = last.max(Some(above.unwrap_or(life.generation)));
        let generation = Generation::start(last, now.wall);
        let life = life.reborn(generation, now.wall);
        file.begin(&owner, &life).map_err(fault)?;
        let folder = Self {
            path: path.to_owned(),
            file: Some(file),
            whole: true,
            lived: life.lived,
            since: now.mono,
            _lock: lock,
        };
        Ok(OpenedState { folder, kept, generation })
    }

    /// Says that a node which has taken back what was kept holds all of that and nothing else: what
    /// changes from then on is all that has to be written.
    pub(crate) fn is_held(&mut self) {
        self.whole = false;
    }

    /// Writes what has changed since the last moment that was written.
    ///
    /// # Errors
    /// When it can't be written: what was there is there, and all of it is written next time.
    pub(crate) fn write(&mut self, moment: &Moment, earlier: &Moment) -> Result<(), StateError> {
        let whole = std::mem::replace(&mut self.whole, true);
        let written = self.try_write(moment, if whole { None } else { Some(earlier) });
        match written {
            Ok(file) => (self.file, self.whole) = (Some(file), false),
            Err(fault) => return Err(fault.at(&self.path)),
        }
        Ok(())
    }

    fn try_write(&mut self, moment: &Moment, earlier: Option<&Moment>) -> Result<StateFile, Fault> {
        let file = match self.file.take() {
            Some(file) => file,
            None => StateFile::open(&self.path.join(STATE))?,
        };
        let now = moment.now();
        let lived = self.lived + now.mono.since(self.since);
        file.write(moment, earlier, lived)?;
        Ok(file)
    }
}

/// Makes the folder if there is none, and takes it.
fn lock(path: &Path) -> Result<File, StateError> {
    let path_of = || path.to_owned();
    if path.is_file() {
        return Err(StateError::NotAFolder { path: path_of() });
    }
    let fault = |error: io::Error| Fault::from(error).at(path);
    std::fs::create_dir_all(path).map_err(fault)?;
    let at = path.join(LOCK);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(at);
    let lock = file.as_mut().map_err(|error| fault(io::Error::from(error.kind())))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut by = String::new();
            let read = lock.read_to_string(&mut by);
            let is_number = read.is_ok() && by.trim().parse::<u32>().is_ok();
            let by = if is_number { by.trim().to_owned() } else { "unknown".to_owned() };
            return Err(StateError::Locked { path: path_of(), by });
        }
        Err(TryLockError::Error(error)) => return Err(fault(error)),
    }
    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(fault)?;
    file.map_err(fault)
}

/// Makes a state that has nothing but its owner, at once or not at all.
fn create(path: &Path, owner: &StateOwner) -> Result<(), Fault> {
    let unborn = path.join(UNBORN);
    match std::fs::remove_file(&unborn) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    StateFile::create(&unborn, owner)?;
    std::fs::rename(&unborn, path.join(STATE))?;
    // Else a loss of power may take the name.
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
impl StateFolder {
    /// As after an error.
    pub(super) fn forget_file(&mut self) {
        self.file = None;
    }
}
