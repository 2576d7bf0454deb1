//! The queue's database: options, typed reads and writes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;
use luminate_model::{Incarnation, Offset};
use luminate_queue::{Committed, ConsumedRecord, QueueError};
use rocksdb::{
    BottommostLevelCompaction, ColumnFamily, CompactOptions, DB, DBCompressionType, FlushOptions, ReadOptions,
    WriteBatch,
};

use super::config::EmbeddedQueueConfig;
use super::layout::{
    self, DEAD_LETTERS, FORMAT, FORMAT_KEY, IDENTITY_KEY, Identity, META, PartitionEnd, RECORDS, StoredRecord,
    Unreadable,
};
use crate::database::{Database, Durability, Failure, Family, Memory};
use crate::error::{DatabaseError, OpenError};

/// How what is acknowledged is written: durable when it returns, and never waiting for background work.
const ACKNOWLEDGED: Durability =
    if cfg!(feature = "unsynced-queue-for-tests") { Durability::Logged } else { Durability::SyncedAtOnce };

/// Buffers that share the memory for unflushed records: while one is written to a table file, others go on.
pub(super) const WRITE_BUFFERS: usize = 4;

/// Log files are deleted when their records are in table files; beyond this size that is forced. It bounds the time of a
/// start, which reads the log.
const MAX_LOG_BYTES: u64 = 64 << 20;

/// Records are read once, so a cache serves little more than the table files' own indexes.
const CACHE_BYTES: usize = 4 << 20;

const BLOCK_BYTES: usize = 64 << 10;

pub(super) struct QueueLog {
    database: Database,
}

impl QueueLog {
    pub(super) fn open(folder: &Path, config: &EmbeddedQueueConfig) -> Result<Self, OpenError> {
        let write_buffers = config.write_buffer.as_usize();
        let memory = Memory { cache: CACHE_BYTES, write_buffers, log: MAX_LOG_BYTES };
        let family = |name| Family {
            name,
            write_buffer: write_buffers / WRITE_BUFFERS,
            block_size: BLOCK_BYTES,
            compression: DBCompressionType::None,
        };
        let database = Database::open(folder, &memory, &[family(META), family(RECORDS), family(DEAD_LETTERS)])?;
        sync_entry(folder).map_err(|error| unavailable(folder, &error))?;
        Ok(Self { database })
    }

    pub(super) fn failure(&self) -> &Failure {
        self.database.failure()
    }

    /// Whether the database takes writes; the reason where it does not.
    pub(super) fn check(&self) -> Result<(), DatabaseError> {
        self.database.check()
    }

    /// Bytes that are in the log and in no table file yet.
    pub(super) fn unflushed_bytes(&self) -> u64 {
        self.database.unflushed_bytes()
    }

    /// Who this queue is; a new queue is given an identity, durably.
    pub(super) fn identity_or_create(&self, partitions: Option<u32>) -> Result<Identity, OpenError> {
        let folder = self.database.folder();
        let damaged = |reason: String| OpenError::Damaged { folder: folder.to_owned(), reason };
        let Some(format) = self.get(META, FORMAT_KEY).map_err(|error| damaged(error.to_string()))? else {
            return self.create(partitions);
        };
        let found = format.as_slice().try_into().map(u32::from_le_bytes).unwrap_or(u32::MAX);
        if found != FORMAT {
            return Err(OpenError::UnknownFormat { folder: folder.to_owned(), found, known: FORMAT });
        }
        let identity = self.get(META, IDENTITY_KEY).map_err(|error| damaged(error.to_string()))?.unwrap_or_default();
        let identity = Identity::decode(&identity).map_err(|error| damaged(error.to_string()))?;
        let stored = identity.partitions;
        match partitions.filter(|configured| *configured != stored) {
            Some(configured) => Err(OpenError::Settings {
                folder: folder.to_owned(),
                reason: format!(
                    "the queue has {stored} partitions since it was made, and the configuration says {configured}: say \
                     {stored} or nothing; another number needs a new data folder"
                ),
            }),
            None => Ok(identity),
        }
    }

    fn create(&self, partitions: Option<u32>) -> Result<Identity, OpenError> {
        let folder = self.database.folder();
        let mut incarnation = [0; 16];
        let random = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut incarnation));
        random.map_err(|error| unavailable(folder, &error))?;
        let partitions = EmbeddedQueueConfig::partitions_at_creation(partitions);
        let identity = Identity { incarnation: Incarnation(incarnation), partitions };
        let mut batch = WriteBatch::default();
        let written = self.database.family(META).and_then(|meta| {
            batch.put_cf(meta, FORMAT_KEY, FORMAT.to_le_bytes());
            batch.put_cf(meta, IDENTITY_KEY, identity.encode());
            self.database.write(batch, Durability::Synced)
        });
        written.map_err(|error| unavailable(folder, &error))?;
        Ok(identity)
    }

    pub(super) fn family(&self, name: &str) -> Result<&ColumnFamily, QueueError> {
        self.database.family(name).map_err(QueueError::from)
    }

    pub(super) fn get(&self, family: &str, key: &[u8]) -> Result<Option<Vec<u8>>, QueueError> {
        Ok(self.database.get(family, key)?.map(|value| value.to_vec()))
    }

    /// Writes so that it is durable when this returns, and never waits for background work.
    pub(super) fn write_acknowledged(&self, batch: WriteBatch) -> Result<(), DatabaseError> {
        self.database.write(batch, ACKNOWLEDGED)
    }

    /// Writes so that it is durable when this returns.
    pub(super) fn write_synced(&self, batch: WriteBatch) -> Result<(), DatabaseError> {
        self.database.write(batch, Durability::Synced)
    }

    /// Writes so that it survives the process, but perhaps not the machine.
    pub(super) fn write_unsynced(&self, batch: WriteBatch) -> Result<(), DatabaseError> {
        self.database.write(batch, Durability::Logged)
    }

    pub(super) fn end(&self, partition: u32) -> Result<PartitionEnd, QueueError> {
        let stored = self.get(META, &layout::end_key(partition))?;
        Ok(stored.map(|bytes| PartitionEnd::decode(&bytes)).transpose()?.unwrap_or_default())
    }

    /// What was committed, and the first record that may still be read beside those that were not.
    pub(super) fn committed(&self, partition: u32) -> Result<(Committed, Option<Offset>), QueueError> {
        let stored = self.get(META, &layout::committed_key(partition))?;
        Ok(stored.map(|bytes| layout::decode_committed(&bytes)).transpose()?.unwrap_or_default())
    }

    /// How many bytes were appended before the record at `offset`, which must be there.
    pub(super) fn bytes_before(&self, partition: u32, offset: u64) -> Result<u64, QueueError> {
        let key = layout::record_key(partition, offset);
        let stored = self.database.get(RECORDS, &key)?;
        let stored = stored.ok_or_else(|| missing(partition, offset))?;
        Ok(StoredRecord::bytes_before(&stored)?)
    }

    /// The offset of the last record that is there.
    pub(super) fn last_record(&self, partition: u32) -> Result<Option<u64>, QueueError> {
        let mut records = self.db().raw_iterator_cf(self.family(RECORDS)?);
        records.seek_for_prev(layout::record_key(partition, u64::MAX));
        self.judge(records.status())?;
        let Some(key) = records.key() else { return Ok(None) };
        let (found, offset) = layout::read_record_key(key)?;
        Ok((found == partition).then_some(offset))
    }

    /// The offset of the first record that is there, committed or not.
    pub(super) fn first_record(&self, partition: u32) -> Result<Option<u64>, QueueError> {
        let mut records = self.db().raw_iterator_cf(self.family(RECORDS)?);
        records.seek(layout::record_key(partition, 0));
        self.judge(records.status())?;
        let Some(key) = records.key() else { return Ok(None) };
        let (found, offset) = layout::read_record_key(key)?;
        Ok((found == partition).then_some(offset))
    }

    /// Records `[from, to)`, which must all be there: one at least, and no more when `max_bytes` are reached. Begins at the
    /// key of `from`, so that what was removed before costs nothing.
    pub(super) fn read(
        &self,
        partition: u32,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<ConsumedRecord>, QueueError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(layout::record_key(partition, to));
        options.fill_cache(false);
        let mut stored = self.db().raw_iterator_cf_opt(self.family(RECORDS)?, options);
        stored.seek(layout::record_key(partition, from));
        let mut records = Vec::new();
        let mut bytes = 0;
        for expected in from..to {
            let Some((key, value)) = stored.item() else {
                self.judge(stored.status())?;
                return Err(missing(partition, expected));
            };
            if layout::read_record_key(key)? != (partition, expected) {
                return Err(missing(partition, expected));
            }
            if bytes + value.len() > max_bytes && !records.is_empty() {
                break;
            }
            let record = StoredRecord::decode(Offset(expected), Bytes::copy_from_slice(value))?;
            bytes += record.size();
            records.push(record);
            stored.next();
        }
        Ok(records)
    }

    /// The database itself, for the parts of the queue that iterate over a column family of their own.
    pub(super) fn db(&self) -> &DB {
        self.database.rocks()
    }

    /// What is said of an error of the database itself.
    pub(super) fn judge<T>(&self, result: Result<T, rocksdb::Error>) -> Result<T, QueueError> {
        Ok(self.database.judge(result)?)
    }

    /// Moves everything to table files, which leaves out what was removed; then the log's files go.
    pub(super) fn flush(&self) -> Result<(), QueueError> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        let families = [self.family(META)?, self.family(RECORDS)?, self.family(DEAD_LETTERS)?];
        self.judge(self.db().flush_cfs_opt(&families, &options))
    }

    /// Rewrites a column family without what was removed.
    pub(super) fn compact(&self, family: &str) -> Result<(), QueueError> {
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        self.db().compact_range_cf_opt(self.family(family)?, None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    /// Bytes of a column family's table files.
    pub(super) fn table_bytes(&self, family: &str) -> Result<u64, QueueError> {
        let bytes = self.db().property_int_value_cf(self.family(family)?, rocksdb::properties::LIVE_SST_FILES_SIZE);
        Ok(self.judge(bytes)?.unwrap_or_default())
    }
}

impl From<DatabaseError> for QueueError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Damaged(reason) => Self::Damaged(reason),
            DatabaseError::Failed(_) | DatabaseError::DiskFull(_) | DatabaseError::Busy => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl From<Unreadable> for QueueError {
    fn from(error: Unreadable) -> Self {
        Self::Damaged(error.to_string())
    }
}

fn missing(partition: u32, offset: u64) -> QueueError {
    QueueError::Damaged(format!("the record at offset {offset} of partition {partition} is missing"))
}

fn unavailable(folder: &Path, error: &dyn std::error::Error) -> OpenError {
    OpenError::Unavailable { folder: folder.to_owned(), reason: error.to_string() }
}

/// RocksDB syncs the folder; that the folder is there must be synced as well.
fn sync_entry(folder: &Path) -> io::Result<()> {
    let folder = folder.canonicalize()?;
    File::open(folder.parent().unwrap_or(&folder))?.sync_all()
}
