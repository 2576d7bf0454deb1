//! One RocksDB database, as queue and store both use it: options with bounded memory, errors told apart, and failure that
//! lasts.
//!
//! After an I/O error on the write-ahead log RocksDB's handle is poisoned, and it cannot be mended inside the process:
//! what was being written may or may not be in the log, and only a reopening decides it. So the first such error marks the
//! database failed for good ([`Failure`]); every later write is refused, and the process is expected to end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rocksdb::{
    BlockBasedOptions, Cache, ChecksumType, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBPinnableSlice, DBRecoveryMode, ErrorKind, LogLevel, Options, WriteBatch, WriteOptions,
};
use tokio::sync::watch;

use crate::error::{DatabaseError, OpenError};

/// Most memory that one database takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// For blocks that were read, in bytes.
    pub(crate) cache: usize,
    /// For what was written and is not in files yet, of all column families together, in bytes.
    pub(crate) write_buffers: usize,
    /// Size of the write-ahead log from which on column families are flushed, in bytes; bounds the time of a start.
    pub(crate) log: u64,
}

/// The column family that RocksDB makes in every database.
const IMPLICIT_FAMILY: Family = Family {
    name: rocksdb::DEFAULT_COLUMN_FAMILY_NAME,
    write_buffer: 1 << 20,
    block_size: 4 << 10,
    compression: DBCompressionType::None,
};

/// A column family and how its values are kept.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// Most bytes of one write buffer of this family.
    pub(crate) write_buffer: usize,
    /// Size of the blocks that files are read by, in bytes, before compression.
    pub(crate) block_size: usize,
    pub(crate) compression: DBCompressionType,
}

/// What a write waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is in the log, in the hands of the operating system.
    Logged,
    /// It is in the log and on disk.
    Synced,
    /// As [`Durability::Synced`], but refused with [`DatabaseError::Busy`] where RocksDB would slow the writer down.
    SyncedAtOnce,
}

/// An open database.
pub(crate) struct Database {
    db: DB,
    folder: PathBuf,
    families: Vec<&'static str>,
    failure: Failure,
    /// Errors of background work after which the database still took writes.
    survived_errors: AtomicU64,
}

/// Whether a database has failed for good, and why. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Failure {
    reason: watch::Sender<Option<DatabaseError>>,
}

impl Failure {
    fn new() -> Self {
        Self { reason: watch::Sender::new(None) }
    }

    /// Why the database has failed; `None` while it has not.
    #[must_use]
    pub fn reason(&self) -> Option<DatabaseError> {
        self.reason.borrow().clone()
    }

    /// Waits until the database has failed, and says why. Then the process should end: only a start mends it.
    pub async fn failed(&self) -> DatabaseError {
        let mut reason = self.reason.subscribe();
        loop {
            if let Some(reason) = reason.borrow_and_update().clone() {
                return reason;
            }
            if reason.changed().await.is_err() {
                // Not reachable while `self` holds the sender; waiting for ever is what the name promises.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Marks the database failed; the first reason stays.
    fn set(&self, error: DatabaseError) {
        let newly = self.reason.send_if_modified(|reason| {
            let first = reason.is_none();
            if first {
                *reason = Some(error.clone());
            }
            first
        });
        if newly {
            tracing::error!(code = error.code(), %error, "database failed");
        }
    }
}

/// Whoever only looks at a database must not make one.
///
/// # Errors
/// Where there is none in the folder.
pub(crate) fn must_exist(folder: &Path) -> Result<(), OpenError> {
    // RocksDB's own name for what says which files count.
    if folder.join("CURRENT").is_file() {
        return Ok(());
    }
    Err(OpenError::Unavailable { folder: folder.to_owned(), reason: "there is no database".to_owned() })
}

impl Database {
    /// Opens the database in `folder`, or makes it.
    ///
    /// RocksDB's own `default` family is always there. Where it is not among `families` it stays empty, but RocksDB sets aside
    /// as much disk for each new log file as the largest write buffer takes, and its own default for one is 64 MiB.
    pub(crate) fn open(folder: &Path, memory: &Memory, families: &[Family]) -> Result<Self, OpenError> {
        std::fs::create_dir_all(folder).map_err(|error| io_open_error(folder, &error))?;
        let cache = Cache::new_lru_cache(memory.cache);
        let of = |family: &Family| ColumnFamilyDescriptor::new(family.name, family_options(family, Some(&cache)));
        let is_implicit = families.iter().all(|family| family.name != IMPLICIT_FAMILY.name);
        let descriptors = families.iter().chain(is_implicit.then_some(&IMPLICIT_FAMILY)).map(of);
        let db = DB::open_cf_descriptors(&database_options(memory), folder, descriptors);
        let db = db.map_err(|error| rocks_open_error(folder, &error))?;
        let families = families.iter().map(|family| family.name).collect();
        Ok(Self {
            db,
            folder: folder.to_owned(),
            families,
            failure: Failure::new(),
            survived_errors: AtomicU64::new(0),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn failure(&self) -> &Failure {
        &self.failure
    }

    /// RocksDB itself, for what has no method here. Errors go through [`Database::judge`].
    pub(crate) fn rocks(&self) -> &DB {
        &self.db
    }

    /// A column family that was named at opening.
    pub(crate) fn family(&self, name: &str) -> Result<&ColumnFamily, DatabaseError> {
        self.db.cf_handle(name).ok_or_else(|| DatabaseError::Damaged(format!("column family {name} is missing")))
    }

    /// Whether the database still takes writes. Also finds out about errors of background work, which RocksDB does not report
    /// otherwise.
    pub(crate) fn check(&self) -> Result<(), DatabaseError> {
        if let Some(reason) = self.failure.reason() {
            return Err(reason);
        }
        let errors = self.db.property_int_value("rocksdb.background-errors").ok().flatten().unwrap_or_default();
        if errors > self.survived_errors.load(Ordering::Relaxed) {
            self.judge_background_errors(errors)?;
        }
        Ok(())
    }

    /// Finds out what failed background work means. After a failed flush, or where data is damaged, RocksDB takes no more
    /// writes, and an empty one shows it. Where only a compaction found no room, it goes on, and tries again later.
    fn judge_background_errors(&self, errors: u64) -> Result<(), DatabaseError> {
        match self.write(WriteBatch::default(), Durability::SyncedAtOnce) {
            Ok(()) => {
                tracing::warn!(errors, folder = %self.folder.display(), "background work failed; writes go on");
                self.survived_errors.store(errors, Ordering::Relaxed);
                Ok(())
            }
            // Another look will tell.
            Err(DatabaseError::Busy) => Ok(()),
            Err(error) => {
                self.failure.set(error.clone());
                Err(error)
            }
        }
    }

    /// Bytes that were written and are in no table file yet: flushing them, now or at the next start, takes as much room.
    pub(crate) fn unflushed_bytes(&self) -> u64 {
        let of = |name: &&str| {
            let family = self.db.cf_handle(name)?;
            self.db.property_int_value_cf(family, "rocksdb.cur-size-all-mem-tables").ok().flatten()
        };
        self.families.iter().filter_map(of).sum()
    }

    /// Writes a batch as a whole. On any error but [`DatabaseError::Busy`] the outcome is unknown until the database is
    /// opened again.
    pub(crate) fn write(&self, batch: WriteBatch, durability: Durability) -> Result<(), DatabaseError> {
        if let Some(reason) = self.failure.reason() {
            return Err(reason);
        }
        let mut options = WriteOptions::default();
        options.set_sync(durability != Durability::Logged);
        options.set_no_slowdown(durability == Durability::SyncedAtOnce);
        self.judge(self.db.write_opt(batch, &options))
    }

    /// The value of a key.
    pub(crate) fn get(&self, family: &str, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>, DatabaseError> {
        self.judge(self.db.get_pinned_cf(self.family(family)?, key))
    }

    /// Tells RocksDB's errors apart, and remembers those that poison the handle.
    pub(crate) fn judge<T>(&self, result: Result<T, rocksdb::Error>) -> Result<T, DatabaseError> {
        result.map_err(|error| {
            let known = match error.kind() {
                // `no_slowdown` answers Incomplete; the others are refusals before anything was written.
                ErrorKind::Incomplete | ErrorKind::Busy | ErrorKind::TryAgain => return DatabaseError::Busy,
                ErrorKind::Corruption => DatabaseError::Damaged(error.to_string()),
                _ if is_disk_full(error.as_ref()) => DatabaseError::DiskFull(error.to_string()),
                _ => DatabaseError::Failed(error.to_string()),
            };
            if !matches!(known, DatabaseError::Damaged(_)) {
                self.failure.set(known.clone());
            }
            known
        })
    }
}

/// Bytes that this user can still write on the disk of `folder`.
pub(crate) fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

pub(crate) fn is_disk_full(message: &str) -> bool {
    message.contains("No space left on device") || message.contains("Disk quota exceeded")
}

fn io_open_error(folder: &Path, error: &std::io::Error) -> OpenError {
    let (folder, reason) = (folder.to_owned(), error.to_string());
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => OpenError::DiskFull { folder, reason },
        _ => OpenError::Unavailable { folder, reason },
    }
}

pub(crate) fn rocks_open_error(folder: &Path, error: &rocksdb::Error) -> OpenError {
    let (folder, reason) = (folder.to_owned(), error.to_string());
    if reason.contains("/LOCK") && error.kind() == ErrorKind::IOError {
        OpenError::Locked { folder }
    } else if is_disk_full(&reason) {
        OpenError::DiskFull { folder, reason }
    } else if error.kind() == ErrorKind::Corruption {
        OpenError::Damaged { folder, reason }
    } else {
        OpenError::Unavailable { folder, reason }
    }
}

fn database_options(memory: &Memory) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_db_write_buffer_size(memory.write_buffers);
    options.set_max_total_wal_size(memory.log);
    // A torn last record of the log was never acknowledged; a hole before it is damage.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_paranoid_checks(true);
    options.set_max_open_files(512);
    options.set_max_background_jobs(2);
    // Writes reach the disk steadily instead of in one burst at the end of a file.
    options.set_bytes_per_sync(1 << 20);
    options.set_wal_bytes_per_sync(1 << 20);
    options.set_max_manifest_file_size(4 << 20);
    options.set_manifest_preallocation_size(64 << 10);
    options.set_skip_stats_update_on_db_open(true);
    options.set_stats_dump_period_sec(0);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(1 << 20);
    options.set_keep_log_file_num(2);
    options
}

/// Options of a column family; what is read of it counts into one cache, where there is one.
pub(crate) fn family_options(family: &Family, cache: Option<&Cache>) -> Options {
    let mut table = BlockBasedOptions::default();
    match cache {
        Some(cache) => table.set_block_cache(cache),
        None => table.disable_cache(),
    }
    table.set_block_size(family.block_size);
    table.set_cache_index_and_filter_blocks(cache.is_some());
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(6);
    table.set_checksum_type(ChecksumType::XXH3);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_compression_type(family.compression);
    options.set_write_buffer_size(family.write_buffer);
    options.set_max_write_buffer_number(3);
    options.set_level_compaction_dynamic_level_bytes(true);
    options
}
