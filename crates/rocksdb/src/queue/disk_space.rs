//! Free space of the disk, and what the queue's files occupy.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::database::free_bytes;

/// `st_blocks` counts in these, whatever the file system's own blocks are.
const STAT_BLOCK_BYTES: u64 = 512;

#[derive(Debug)]
pub(super) struct DiskSpace {
    folder: PathBuf,
    reserve: u64,
}

impl DiskSpace {
    pub(super) fn new(folder: &Path, reserve: u64) -> Self {
        Self { folder: folder.to_owned(), reserve }
    }

    /// Whether more may be written, beside `coming` bytes that will be in any case; the reason where the disk is nearly full.
    /// One system call.
    pub(super) fn check(&self, coming: u64) -> Result<(), String> {
        // Where free space cannot be asked for, writing will tell.
        let Ok(free) = free_bytes(&self.folder) else { return Ok(()) };
        let reserve = self.reserve.saturating_add(coming);
        if free >= reserve {
            return Ok(());
        }
        Err(format!("the disk has {free} bytes free, and {reserve} are kept in reserve"))
    }

    /// Bytes that the queue's files occupy; 0 where they cannot be listed.
    pub(super) fn occupied(&self) -> u64 {
        let Ok(files) = fs::read_dir(&self.folder) else { return 0 };
        let sizes = files.flatten().flat_map(|file| file.metadata()).map(|meta| meta.blocks() * STAT_BLOCK_BYTES);
        sizes.sum()
    }
}
