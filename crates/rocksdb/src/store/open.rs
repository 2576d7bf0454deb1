//! Reading a database back, and removing what a crash left.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use luminate_model::{Offset, RetentionRules};
use rocksdb::{DBCompressionType, Direction, IteratorMode, WriteBatch};
use tokio::sync::watch;

use super::config::RocksStoreConfig;
use super::directory::{Block, Directory};
use super::entry::Entry;
use super::inbox::Inbox;
use super::keys::{self, ARRIVALS, BLOCKS, DIRECTORY, META, MetaKey};
use super::state::State;
use super::{Progress, Shared};
use crate::block::BlockId;
use crate::database::{Clock, Database, Durability, Family, Memory};
use crate::error::{DatabaseError, OpenError};

/// The format that this version reads and writes.
const FORMAT: u32 = 1;

pub(crate) fn open(
    folder: &Path,
    config: &RocksStoreConfig,
    rules: RetentionRules,
    clock: Clock,
) -> Result<Shared, OpenError> {
    let database = Database::open(folder, &memory(config), &families(config))?;
    let fault = |error: DatabaseError| match error {
        DatabaseError::DiskFull(reason) => OpenError::DiskFull { folder: folder.to_owned(), reason },
        DatabaseError::Damaged(reason) => OpenError::Damaged { folder: folder.to_owned(), reason },
        other => OpenError::Unavailable { folder: folder.to_owned(), reason: other.to_string() },
    };
    let found = check_format(&database).map_err(fault)?;
    if found != FORMAT {
        return Err(OpenError::UnknownFormat { folder: folder.to_owned(), found, known: FORMAT });
    }
    remove_unfinished_merge(&database).map_err(fault)?;
    let inbox = Arc::new(Inbox::default());
    let state = read_state(&database).map_err(fault)?;
    let directory = read_directory(&database, &inbox).map_err(fault)?;
    let progress = Progress { next: state.next.clone(), incarnation: None, closed: false };
    Ok(Shared {
        database,
        config: config.clone(),
        rules,
        clock,
        state: Mutex::new(state),
        directory: RwLock::new(Arc::new(directory)),
        inbox,
        progress: watch::Sender::new(progress),
    })
}

fn memory(config: &RocksStoreConfig) -> Memory {
    let mib = |mib: u32| (mib as usize) << 20;
    Memory {
        cache: mib(config.cache_mib),
        write_buffers: mib(config.write_buffer_mib),
        log: mib(config.log_mib) as u64,
    }
}

/// The column families of the store.
pub(crate) fn families(config: &RocksStoreConfig) -> [Family; 4] {
    let pages = |name, write_buffer| Family {
        name,
        write_buffer,
        // A page is larger than this, so that a block of the file holds one page and reading one reads no other.
        block_size: 4 << 10,
        // Pages are packed already.
        compression: DBCompressionType::None,
    };
    let small = |name| Family { name, write_buffer: 2 << 20, block_size: 16 << 10, compression: DBCompressionType::Lz4 };
    [
        pages(ARRIVALS, (config.write_buffer_mib as usize) << 19),
        pages(BLOCKS, 1 << 20),
        small(DIRECTORY),
        small(META),
    ]
}

/// The format of the database; a new one gets today's.
fn check_format(database: &Database) -> Result<u32, DatabaseError> {
    let key = MetaKey::Format.encode();
    if let Some(value) = database.get(META, &key)? {
        let format = value.as_ref().try_into().map(u32::from_be_bytes);
        return format.map_err(|_| DatabaseError::Damaged("the format is not a number".to_owned()));
    }
    let mut batch = WriteBatch::default();
    batch.put_cf(database.family(META)?, key, FORMAT.to_be_bytes());
    database.write(batch, Durability::Synced)?;
    Ok(FORMAT)
}

/// Removes the pages of a merge that a crash ended before it counted.
fn remove_unfinished_merge(database: &Database) -> Result<(), DatabaseError> {
    let key = MetaKey::Pending.encode();
    let Some(first) = database.get(META, &key)? else { return Ok(()) };
    let first = BlockId(keys::read_u64(&first, "the first block of a merge")?);
    let mut batch = WriteBatch::default();
    batch.delete_range_cf(
        database.family(BLOCKS)?,
        keys::page_key(first, 0),
        keys::page_key(BlockId(u64::MAX), u32::MAX),
    );
    batch.delete_cf(database.family(META)?, key);
    database.write(batch, Durability::Synced)
}

fn read_state(database: &Database) -> Result<State, DatabaseError> {
    let mut state = State::default();
    for (key, value) in entries(database, META, keys::NEXT_PREFIX)? {
        let (source, _) = keys::read_source(&key).ok_or_else(|| DatabaseError::Damaged("a source's key".to_owned()))?;
        state.next.insert(source, Offset(keys::read_u64(&value, "a next offset")?));
    }
    for (key, value) in entries(database, META, keys::LEDGER_PREFIX)? {
        let row = keys::read_source(&key).and_then(|(source, rest)| Some((source, keys::read_tenant(rest)?)));
        let (source, tenant) = row.ok_or_else(|| DatabaseError::Damaged("a key of the erase ledger".to_owned()))?;
        state.ledger.add(&tenant, source, Offset(keys::read_u64(&value, "an erased offset")?));
    }
    state.oldest_idempotency = state.next.keys().map(|source| (*source, Offset(0))).collect::<BTreeMap<_, _>>();
    let next_block = database.get(META, &MetaKey::NextBlock.encode())?;
    state.next_block = next_block.map_or(Ok(0), |value| keys::read_u64(&value, "the next block's number"))?;
    Ok(state)
}

fn read_directory(database: &Database, inbox: &Arc<Inbox>) -> Result<Directory, DatabaseError> {
    let mut blocks = Vec::new();
    for (key, value) in entries(database, DIRECTORY, &[])? {
        let block = BlockId(keys::read_u64(&key, "a key of the directory")?);
        blocks.push(Block::new(block, Entry::decode(block, &value)?, Arc::clone(inbox)));
    }
    Ok(Directory::of_blocks(blocks, Instant::now()))
}

/// Keys, without the prefix, and values of all keys that begin with a prefix.
pub(crate) fn entries(
    database: &Database,
    family: &str,
    prefix: &[u8],
) -> Result<Vec<(Vec<u8>, Box<[u8]>)>, DatabaseError> {
    let mut found = Vec::new();
    let iterator = database.rocks().iterator_cf(database.family(family)?, IteratorMode::From(prefix, Direction::Forward));
    for item in iterator {
        let (key, value) = database.judge(item)?;
        let Some(rest) = key.strip_prefix(prefix) else { break };
        found.push((rest.to_vec(), value));
    }
    Ok(found)
}
