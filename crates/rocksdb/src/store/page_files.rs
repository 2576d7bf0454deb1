//! Pages of merged blocks on their way into the database: written once, as files that it takes up whole, past its log and
//! write buffers.

use std::path::PathBuf;

use luminate_storage::StorageError;
use rocksdb::{IngestExternalFileOptions, Options, SstFileWriter};

use super::keys::{BLOCKS, page_key};
use crate::block::BlockId;
use crate::database::Database;
use crate::error::DatabaseError;

/// A file is closed when it is this large: larger ones are seldom dead as a whole, smaller ones are many.
const FILE_BYTES: u64 = 32 << 20;

/// Where files stand until they are taken up, inside the database's folder.
const FOLDER: &str = "merging";

/// Files of pages that are being written.
pub(crate) struct PageFiles<'a> {
    database: &'a Database,
    options: &'a Options,
    folder: PathBuf,
    open: Option<SstFileWriter<'a>>,
    finished: Vec<PathBuf>,
}

impl<'a> PageFiles<'a> {
    /// Begins without a file; what an earlier, unfinished merge left is removed.
    pub(crate) fn new(database: &'a Database, options: &'a Options) -> Result<Self, StorageError> {
        let folder = database.folder().join(FOLDER);
        let made = match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir(&folder),
        };
        made.map_err(|error| StorageError::Unavailable(format!("cannot make {}: {error}", folder.display())))?;
        Ok(Self { database, options, folder, open: None, finished: Vec::new() })
    }

    /// Writes the pages of a block, whose number is larger than those before.
    pub(crate) fn add(&mut self, block: BlockId, pages: &[Vec<u8>]) -> Result<(), StorageError> {
        if self.open.as_ref().is_some_and(|file| file.file_size() >= FILE_BYTES) {
            self.close_file()?;
        }
        let mut file = match self.open.take() {
            Some(file) => file,
            None => self.open_file()?,
        };
        for (number, page) in (0..).zip(pages) {
            file.put(page_key(block, number), page).map_err(file_error)?;
        }
        self.open = Some(file);
        Ok(())
    }

    /// Makes everything that was added a part of the database. It is durable when this returns.
    pub(crate) fn take_up(mut self) -> Result<(), StorageError> {
        self.close_file()?;
        if self.finished.is_empty() {
            return Ok(());
        }
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        let family = self.database.family(BLOCKS)?;
        let files = std::mem::take(&mut self.finished);
        let taken = self.database.rocks().ingest_external_file_cf_opts(family, &options, files);
        Ok(self.database.judge(taken)?)
    }

    fn open_file(&self) -> Result<SstFileWriter<'a>, StorageError> {
        let file = SstFileWriter::create(self.options);
        file.open(self.folder.join(format!("{}.sst", self.finished.len()))).map_err(file_error)?;
        Ok(file)
    }

    fn close_file(&mut self) -> Result<(), StorageError> {
        if let Some(mut file) = self.open.take() {
            // Synced by RocksDB.
            file.finish().map_err(file_error)?;
            self.finished.push(self.folder.join(format!("{}.sst", self.finished.len())));
        }
        Ok(())
    }
}

/// A file that is not part of the database yet failed: nothing is lost, and the database goes on.
fn file_error(error: rocksdb::Error) -> StorageError {
    let full = crate::database::is_disk_full(error.as_ref());
    let reason = format!("cannot write a file of pages: {error}");
    if full { StorageError::DiskFull(reason) } else { DatabaseError::Failed(reason).into() }
}
