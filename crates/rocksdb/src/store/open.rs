//! Reading a database back, and removing what a crash left.

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use luminate_model::RetentionRules;
use luminate_runtime::clock::Clock;
use rocksdb::{DBCompressionType, Direction, IteratorMode, Options, WriteBatch};
use tokio::sync::watch;

use super::ballast::Ballast;
use super::config::RocksStoreConfig;
use super::directory::{Block, Directory};
use super::entry::Entry;
use super::garbage::{Garbage, Retired};
use super::inbox::Inbox;
use super::keys::{self, ARRIVALS, BLOCKS, DIRECTORY, META, MetaKey, page_key};
use super::owned::OwnedPartition;
use super::state::{KeptIdempotency, State};
use super::stats::Merged;
use super::{Progress, Shared};
use crate::block::BlockId;
use crate::database::{Database, Durability, Family, Memory, family_options, free_bytes};
use crate::error::{DatabaseError, OpenError};

/// Free space of the disk below which the ballast is given up at a start.
const ROOM_TO_OPEN: u64 = 16 << 20;

/// The format that this version reads and writes.
const FORMAT: u32 = 1;

pub(crate) fn open(
    folder: &Path,
    config: &RocksStoreConfig,
    rules: RetentionRules,
    clock: Clock,
) -> Result<Shared, OpenError> {
    if let Some(reason) = config.fault() {
        return Err(OpenError::Settings { folder: folder.to_owned(), reason });
    }
    let ballast = Ballast::new(folder, config.ballast.get());
    // Opening writes a few small files.
    if free_bytes(folder).is_ok_and(|free| free < ROOM_TO_OPEN) {
        ballast.release();
    }
    let database = match Database::open(folder, &memory(config), &families(config)) {
        Err(OpenError::DiskFull { .. }) if ballast.kept() > 0 => {
            ballast.release();
            Database::open(folder, &memory(config), &families(config))?
        }
        opened => opened?,
    };
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
    let garbage = read_garbage(&database).map_err(fault)?;
    let progress = Progress { next: state.next.clone(), incarnation: None, owned: None, closed: false };
    Ok(Shared {
        database,
        config: config.clone(),
        rules,
        clock,
        state: Mutex::new(state),
        directory: RwLock::new(Arc::new(directory)),
        inbox,
        progress: watch::Sender::new(progress),
        garbage: Mutex::new(garbage),
        ballast,
        merged: Merged::default(),
        #[cfg(test)]
        hook: Mutex::new(None),
    })
}

fn memory(config: &RocksStoreConfig) -> Memory {
    let (cache, write_buffers) = (config.cache.as_usize(), config.write_buffer.as_usize());
    Memory { cache, write_buffers, log: config.log.get() }
}

/// The column families of the store.
fn families(config: &RocksStoreConfig) -> [Family; 4] {
    let small =
        |name| Family { name, write_buffer: 2 << 20, block_size: 16 << 10, compression: DBCompressionType::Lz4 };
    [
        page_family(ARRIVALS, config.write_buffer.as_usize() / 2),
        page_family(BLOCKS, 1 << 20),
        small(DIRECTORY),
        small(META),
    ]
}

const fn page_family(name: &'static str, write_buffer: usize) -> Family {
    // Most pages are larger than a block of a file, so that reading one reads no other; and they are packed already.
    Family { name, write_buffer, block_size: 4 << 10, compression: DBCompressionType::None }
}

/// How files of pages are written that the database takes up.
pub(crate) fn page_file_options() -> Options {
    let mut options = family_options(&page_family(BLOCKS, 1 << 20), None);
    options.set_bytes_per_sync(1 << 20);
    options
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

/// Removes the pages of a merge that did not get to count. Their numbers are not given again, since a removal by key of a
/// range would hide pages that came to stand in it.
pub(crate) fn remove_unfinished_merge(database: &Database) -> Result<(), DatabaseError> {
    let key = MetaKey::Pending.encode();
    let Some(first) = database.get(META, &key)? else { return Ok(()) };
    let first = BlockId(keys::read_u64(&first, "the first block of a merge")?);
    let family = database.family(BLOCKS)?;
    let mut write = WriteBatch::default();
    if let Some(end) = end_of_blocks(database)?.filter(|end| *end > first) {
        // The files that the merge made hold nothing else.
        let deleted = database.rocks().delete_file_in_range_cf(family, page_key(first, 0), page_key(end, 0));
        database.judge(deleted)?;
        if end_of_blocks(database)?.is_some_and(|end| end > first) {
            write.delete_range_cf(family, page_key(first, 0), page_key(end, 0));
        }
        let next = database.get(META, &MetaKey::NextBlock.encode())?;
        let next = next.map_or(Ok(0), |value| keys::read_u64(&value, "the next block's number"))?;
        write.put_cf(database.family(META)?, MetaKey::NextBlock.encode(), next.max(end.0).to_be_bytes());
    }
    write.delete_cf(database.family(META)?, key);
    database.write(write, Durability::Synced)
}

/// The number after the last merged block that has pages, whether it counts or not.
fn end_of_blocks(database: &Database) -> Result<Option<BlockId>, DatabaseError> {
    let last = database.rocks().iterator_cf(database.family(BLOCKS)?, IteratorMode::End).next();
    let Some((key, _)) = last.map(|item| database.judge(item)).transpose()? else { return Ok(None) };
    let block = key.get(..8).unwrap_or_default();
    Ok(Some(BlockId(keys::read_u64(block, "a page's key")? + 1)))
}

fn read_state(database: &Database) -> Result<State, DatabaseError> {
    let mut state = State::empty();
    for (key, value) in entries(database, META, keys::NEXT_PREFIX)? {
        let row = keys::read_source(&key).and_then(|(source, _)| Some((source, keys::read_next(&value)?)));
        let (source, (next, since)) = row.ok_or_else(|| DatabaseError::Damaged("a source's next offset".to_owned()))?;
        state.next.insert(source, next);
        state.idempotency.insert(source, KeptIdempotency { since, ..KeptIdempotency::default() });
    }
    for (key, value) in entries(database, META, keys::LEDGER_PREFIX)? {
        let row = keys::read_source(&key).and_then(|(source, rest)| Some((source, keys::read_tenant(rest)?)));
        let (source, tenant) = row.ok_or_else(|| DatabaseError::Damaged("a key of the erase ledger".to_owned()))?;
        let row = keys::read_ledger(&value);
        let (end, first_clean_block) =
            row.ok_or_else(|| DatabaseError::Damaged("a row of the erase ledger".to_owned()))?;
        state.ledger.add(&tenant, source, end, first_clean_block);
    }
    for (key, topic) in entries(database, META, keys::OWNED_PREFIX)? {
        let row = keys::read_source(&key).zip(String::from_utf8(topic.into_vec()).ok());
        let ((source, _), topic) = row.ok_or_else(|| DatabaseError::Damaged("an owned partition".to_owned()))?;
        state.owned.add(OwnedPartition { topic, source });
    }
    let next_block = database.get(META, &MetaKey::NextBlock.encode())?;
    state.next_block = next_block.map_or(Ok(0), |value| keys::read_u64(&value, "the next block's number"))?;
    Ok(state)
}

fn read_garbage(database: &Database) -> Result<Garbage, DatabaseError> {
    let mut garbage = Garbage::default();
    for (key, value) in entries(database, META, keys::GARBAGE_PREFIX)? {
        let block = BlockId(keys::read_u64(&key, "a retired block's key")?);
        garbage.add([Retired::found(block, keys::read_garbage(&value))]);
    }
    Ok(garbage)
}

fn read_directory(database: &Database, inbox: &Arc<Inbox>) -> Result<Directory, DatabaseError> {
    let mut blocks = Vec::new();
    for (key, value) in entries(database, DIRECTORY, &[])? {
        let block = BlockId(keys::read_u64(&key, "a key of the directory")?);
        blocks.push(Block::new(block, Entry::decode(block, &value)?, Arc::clone(inbox)));
    }
    Ok(Directory::of_blocks(blocks, Instant::now()))
}

/// A key without its prefix, and its value.
type KeyValue = (Vec<u8>, Box<[u8]>);

/// All keys that begin with a prefix.
pub(crate) fn entries(database: &Database, family: &str, prefix: &[u8]) -> Result<Vec<KeyValue>, DatabaseError> {
    let mut found = Vec::new();
    let iterator =
        database.rocks().iterator_cf(database.family(family)?, IteratorMode::From(prefix, Direction::Forward));
    for item in iterator {
        let (key, value) = database.judge(item)?;
        let Some(rest) = key.strip_prefix(prefix) else { break };
        found.push((rest.to_vec(), value));
    }
    Ok(found)
}
