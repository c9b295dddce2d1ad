//! The file of a folder: its tables, and how they are read and written. The only module that names
//! `redb`.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    StorageError, TableDefinition, WriteTransaction,
};

use super::{StateError, StateOwner};
use crate::core::packet::{AgedEntry, Covered};
use crate::core::{Fingerprint, KeptChanges, KeptState, Moment};
use crate::node::Generation;
use crate::text::Printable;
use crate::time::{Now, UnixNanos, nanos};
use crate::wire::kept;

/// The format that this build writes, and the latest that it reads.
pub(super) const FORMAT: u32 = 1;

/// One row each: what there is once.
pub(super) const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
/// By key; the time that the node had lived when it was written, and the entry as old as it was.
const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
/// Runs of writes, by their start.
const COVERAGE: TableDefinition<'_, [u8; 24], &[u8]> = TableDefinition::new("coverage");

/// What is cached of the file: it is read once, and what is written is seldom read again.
const CACHE_LEN: usize = 4 << 20;

/// Why a file can't be used.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Damaged(String),
    Newer(u32),
}

impl Fault {
    pub(super) fn at(self, path: &Path) -> StateError {
        let path = path.to_owned();
        match self {
            Self::Io(error) if error.kind() == ErrorKind::StorageFull => StateError::Full { path },
            Self::Io(error) if error.kind() == ErrorKind::QuotaExceeded => {
                StateError::Full { path }
            }
            Self::Io(source) => StateError::Io { path, source },
            Self::Damaged(why) => StateError::Damaged { path, why: Printable(why).to_string() },
            Self::Newer(found) => StateError::Newer { path, found, known: FORMAT },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                Self::Damaged(error.to_string())
            }
            redb::Error::Io(error) => Self::Io(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

macro_rules! faults {
    ($($error:ty),+) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                redb::Error::from(error).into()
            }
        }
    )+};
}

faults!(DatabaseError, StorageError, redb::TransactionError, redb::TableError, redb::CommitError);

/// What is known of a node's life by its last flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StoredLife {
    pub(super) generation: Generation,
    /// How long it has lived, in all of its lives and between them.
    pub(super) lived: Duration,
    /// What its wall clock showed.
    pub(super) wall: UnixNanos,
    /// What the entries and the coverage beside it are known by.
    entries: Fingerprint,
    covered: Fingerprint,
}

/// All that is in a file.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) owner: StateOwner,
    /// By now.
    pub(super) life: StoredLife,
    /// Each as old as it is by now.
    pub(super) kept: KeptState,
}

/// An open file.
#[derive(Debug)]
pub(super) struct StateFile(Database);

impl StateFile {
    /// Makes a file in which nothing is kept yet.
    pub(super) fn create(path: &Path, owner: &StateOwner) -> Result<(), Fault> {
        let file = Self(Database::builder().set_cache_size(CACHE_LEN).create(path)?);
        let transaction = file.0.begin_write()?;
        transaction.open_table(ENTRIES)?;
        transaction.open_table(COVERAGE)?;
        put_about(&transaction, "format", &FORMAT.to_le_bytes())?;
        file.end(transaction, owner, &StoredLife::default())
    }

    /// Opens a file, of which every byte is looked at.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let open = || {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE_LEN).set_check_integrity_on_open(true).open(path)
        };
        // In bytes that make no sense it may come to what it takes for a mistake of its own.
        let opened = catch_unwind(AssertUnwindSafe(open));
        let panicked = |_| Fault::Damaged("its parts do not fit together".to_owned());
        Ok(Self(opened.map_err(panicked)??))
    }

    pub(super) fn read(&self, now: Now) -> Result<Stored, Fault> {
        let read = AssertUnwindSafe(|| read(&self.0.begin_read()?, now));
        let panicked = |_| Fault::Damaged("its parts do not fit together".to_owned());
        catch_unwind(read).map_err(panicked)?
    }

    /// Notes who the node is from now on.
    pub(super) fn begin(&self, owner: &StateOwner, life: &StoredLife) -> Result<(), Fault> {
        let transaction = self.0.begin_write()?;
        self.end(transaction, owner, life)
    }

    fn end(
        &self,
        transaction: WriteTransaction,
        owner: &StateOwner,
        life: &StoredLife,
    ) -> Result<(), Fault> {
        let StateOwner { addr, name, cluster } = owner;
        // None of them has a line break.
        let owner = format!("{addr}\n{name}\n{cluster}");
        put_about(&transaction, "owner", owner.as_bytes())?;
        put_about(&transaction, "life", &life.to_bytes())?;
        Ok(transaction.commit()?)
    }

    /// Writes a moment at which the node had lived so long, in one piece: all of it, or what has
    /// changed since an earlier one.
    pub(super) fn write(
        &self,
        moment: &Moment,
        earlier: Option<&Moment>,
        lived: Duration,
    ) -> Result<(), Fault> {
        let transaction = self.0.begin_write()?;
        let nothing = Moment::default();
        if earlier.is_none() {
            transaction.delete_table(ENTRIES)?;
            transaction.delete_table(COVERAGE)?;
        }
        let changes = moment.since(earlier.unwrap_or(&nothing));
        put_changes(&transaction, &changes, lived)?;
        let (entries, covered) = moment.fingerprints();
        let wall = moment.now().wall;
        let life = StoredLife { generation: changes.generation, lived, wall, entries, covered };
        put_about(&transaction, "life", &life.to_bytes())?;
        Ok(transaction.commit()?)
    }
}

fn put_about(transaction: &WriteTransaction, row: &str, bytes: &[u8]) -> Result<(), Fault> {
    transaction.open_table(ABOUT)?.insert(row, bytes)?;
    Ok(())
}

fn put_changes(
    transaction: &WriteTransaction,
    changes: &KeptChanges,
    lived: Duration,
) -> Result<(), Fault> {
    if let Some(metadata) = &changes.metadata {
        put_about(transaction, "metadata", &kept::put_metadata(metadata))?;
    }
    if let Some(members) = &changes.members {
        put_about(transaction, "members", &kept::put_members(members))?;
    }
    let mut entries = transaction.open_table(ENTRIES)?;
    for key in &changes.gone {
        entries.remove(key.as_str())?;
    }
    for aged in &changes.entries {
        let row = [&nanos(lived).to_le_bytes()[..], &kept::put_entry(aged)].concat();
        entries.insert(aged.entry.key().as_str(), &row[..])?;
    }
    let mut coverage = transaction.open_table(COVERAGE)?;
    for run in &changes.uncovered {
        coverage.remove(start_of(run))?;
    }
    for run in &changes.covered {
        coverage.insert(start_of(run), &kept::put_covered(run)[..])?;
    }
    Ok(())
}

/// In the order of writers and numbers.
fn start_of(run: &Covered) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&run.writer.place.0.to_be_bytes());
    bytes[8..16].copy_from_slice(&run.writer.generation.get().to_be_bytes());
    bytes[16..].copy_from_slice(&run.first.to_be_bytes());
    bytes
}

fn read(transaction: &ReadTransaction, now: Now) -> Result<Stored, Fault> {
    let about = transaction.open_table(ABOUT)?;
    let row = |name: &str| -> Result<Option<Vec<u8>>, Fault> {
        Ok(about.get(name)?.map(|row| row.value().to_vec()))
    };
    let needed = |name: &str| row(name)?.ok_or_else(|| damaged(&format!("there is no `{name}`")));
    let format = needed("format")?.try_into().map_err(|_| damaged("its format is no number"))?;
    match u32::from_le_bytes(format) {
        FORMAT => {}
        newer => return Err(Fault::Newer(newer)),
    }
    let owner = owner_of(&needed("owner")?).ok_or_else(|| damaged("its owner is no node"))?;
    let flushed = StoredLife::of(&needed("life")?).ok_or_else(|| damaged("its life is none"))?;
    // What clocks say that is not so comes right by what others say; see `KeptState::aged`.
    let since = u64::try_from(now.wall.0.saturating_sub(flushed.wall.0)).unwrap_or(0);
    let life = StoredLife { lived: flushed.lived + Duration::from_nanos(since), ..flushed };
    let refused = |what: &str| damaged(&format!("{what} cannot be read"));
    let metadata = row("metadata")?.map(|row| kept::take_metadata(&row));
    let members = row("members")?.map(|row| kept::take_members(&row));
    let kept = KeptState {
        generation: life.generation,
        metadata: metadata.transpose().map_err(|_| refused("the metadata"))?,
        entries: read_entries(transaction, life.lived)?,
        coverage: read_coverage(transaction)?,
        members: members.transpose().map_err(|_| refused("the list"))?.unwrap_or_default(),
    };
    let is_whole = kept.fingerprints() == (life.entries, life.covered);
    if is_whole { Ok(Stored { owner, life, kept }) } else { Err(damaged("entries are missing")) }
}

fn read_entries(transaction: &ReadTransaction, lived: Duration) -> Result<Vec<AgedEntry>, Fault> {
    let mut entries = Vec::new();
    for row in transaction.open_table(ENTRIES)?.iter()? {
        let (key, row) = row?;
        let refused = || damaged(&format!("entry `{}` cannot be read", key.value()));
        let (at, bytes) = row.value().split_first_chunk().ok_or_else(refused)?;
        let AgedEntry { entry, age } = kept::take_entry(bytes).map_err(|_| refused())?;
        let since = lived.saturating_sub(Duration::from_nanos(u64::from_le_bytes(*at)));
        let age = if entry.ages() { age.saturating_add(since) } else { age };
        entries.push(AgedEntry { entry, age });
    }
    Ok(entries)
}

fn read_coverage(transaction: &ReadTransaction) -> Result<Vec<Covered>, Fault> {
    let mut runs = Vec::new();
    for row in transaction.open_table(COVERAGE)?.iter()? {
        let run = kept::take_covered(row?.1.value());
        runs.push(run.map_err(|_| damaged("what it knows of writes cannot be read"))?);
    }
    Ok(runs)
}

fn damaged(why: &str) -> Fault {
    Fault::Damaged(why.to_owned())
}

fn owner_of(row: &[u8]) -> Option<StateOwner> {
    let mut parts = str::from_utf8(row).ok()?.splitn(3, '\n').map(str::to_owned);
    let (addr, name, cluster) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
    Some(StateOwner { addr, name, cluster })
}

impl StoredLife {
    const LEN: usize = 3 * 8 + 2 * 16;

    /// The next one of the same node, which holds the same.
    pub(super) fn reborn(self, generation: Generation, wall: UnixNanos) -> Self {
        Self { generation, wall, ..self }
    }

    fn to_bytes(self) -> Vec<u8> {
        let Self { generation, lived, wall, entries, covered } = self;
        let numbers = [generation.get(), nanos(lived), wall.0 as u64].map(u64::to_le_bytes);
        let prints = [entries, covered].map(|print| print.0.to_le_bytes());
        [numbers.concat(), prints.concat()].concat()
    }

    fn of(row: &[u8]) -> Option<Self> {
        let row: &[u8; Self::LEN] = row.try_into().ok()?;
        let number = |at: usize| Some(u64::from_le_bytes(*row.get(at..)?.first_chunk()?));
        let print =
            |at: usize| Some(Fingerprint(u128::from_le_bytes(*row.get(at..)?.first_chunk()?)));
        Some(Self {
            generation: Generation::new(number(0)?)?,
            lived: Duration::from_nanos(number(8)?),
            wall: UnixNanos(number(16)? as i64),
            entries: print(24)?,
            covered: print(40)?,
        })
    }
}
