//! Why a database does not open, and why a call on an open one fails.

use std::path::PathBuf;

use luminate_storage::StorageError;

/// Why a database does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the folder.
    #[error("{folder} is in use by another process: stop it, or choose another data folder")]
    Locked {
        /// The database's folder.
        folder: PathBuf,
    },
    /// The folder was written by a version that keeps its data in another way.
    #[error("{folder} is in format {found}, and this version reads format {known}: run the version that wrote it")]
    UnknownFormat {
        /// The database's folder.
        folder: PathBuf,
        /// The format found.
        found: u32,
        /// The format this version reads and writes.
        known: u32,
    },
    /// The disk has no room for what opening writes.
    #[error("the disk of {folder} is full: make room and start again ({reason})")]
    DiskFull {
        /// The database's folder.
        folder: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The data is not what was written.
    #[error("{folder} is damaged: {reason}")]
    Damaged {
        /// The database's folder.
        folder: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The settings contradict each other, or what is stored.
    #[error("{folder} cannot be opened as configured: {reason}")]
    Settings {
        /// The database's folder.
        folder: PathBuf,
        /// What to change.
        reason: String,
    },
    /// Anything else that the system refuses.
    #[error("cannot open {folder}: {reason}")]
    Unavailable {
        /// The database's folder.
        folder: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl OpenError {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "database_locked",
            Self::UnknownFormat { .. } => "database_format_unknown",
            Self::DiskFull { .. } => "database_disk_full",
            Self::Damaged { .. } => "database_damaged",
            Self::Settings { .. } => "database_settings",
            Self::Unavailable { .. } => "database_unavailable",
        }
    }
}

/// Why a call on an open database failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The log or a file could not be written, now or before: nothing more is taken until the process starts again. What
    /// was being written may or may not be stored.
    #[error("the database has failed and takes nothing more until a restart: {0}")]
    Failed(String),
    /// The same, because the disk is full.
    #[error("the database has failed on a full disk and takes nothing more until a restart: {0}")]
    DiskFull(String),
    /// RocksDB would have waited; nothing was written.
    #[error("the database is busy")]
    Busy,
    /// Bytes are not what was written.
    #[error("the database is damaged: {0}")]
    Damaged(String),
}

impl DatabaseError {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Failed(_) => "database_failed",
            Self::DiskFull(_) => "database_disk_full",
            Self::Busy => "database_busy",
            Self::Damaged(_) => "database_damaged",
        }
    }
}

impl From<DatabaseError> for StorageError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DiskFull(reason) => Self::DiskFull(reason),
            DatabaseError::Damaged(reason) => Self::Damaged(reason),
            DatabaseError::Failed(_) | DatabaseError::Busy => Self::Unavailable(error.to_string()),
        }
    }
}
