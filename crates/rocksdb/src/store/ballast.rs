//! A file without use that keeps room on the disk: when the disk is full, removing it makes the room that erasing needs.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Erasing rewrites what has not been merged yet and a few small files; a small store needs little.
const LEAST_BYTES: u64 = 4 << 20;

/// The ballast of a store whose live pages take eight times as much is as large as this fraction of them.
const FRACTION: u64 = 8;

/// The file, which may be there or not.
pub(crate) struct Ballast {
    path: PathBuf,
    most: u64,
}

impl Ballast {
    pub(crate) fn new(folder: &Path, most: u64) -> Self {
        Self { path: folder.join("ballast"), most }
    }

    /// Bytes that the file keeps now.
    pub(crate) fn kept(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Bytes that the file should keep for a store whose live pages take `live` bytes.
    pub(crate) fn wanted(&self, live: u64) -> u64 {
        (live / FRACTION).max(LEAST_BYTES).min(self.most)
    }

    /// Gives the room free.
    pub(crate) fn release(&self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the ballast");
        }
    }

    /// Makes the file, or another of this size in its place.
    pub(crate) fn keep(&self, bytes: u64) {
        self.release();
        if bytes == 0 {
            return;
        }
        if let Err(error) = self.fill(bytes) {
            tracing::warn!(path = %self.path.display(), %error, "cannot make the ballast");
            self.release();
        }
    }

    fn fill(&self, bytes: u64) -> std::io::Result<()> {
        let mut file = File::create(&self.path)?;
        if rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).is_ok() {
            return Ok(());
        }
        // A file system that cannot set room aside has to be written to.
        let zeros = vec![0; 1 << 20];
        let mut left = bytes;
        while left > 0 {
            let part = left.min(zeros.len() as u64);
            file.write_all(zeros.get(..part as usize).unwrap_or_default())?;
            left -= part;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keeps_and_releases_room() {
        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(folder.path(), 64 << 20);
        assert_eq!(ballast.kept(), 0);
        ballast.keep(3 << 20);
        assert_eq!(ballast.kept(), 3 << 20);
        let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(folder.path().join("ballast")).unwrap());
        assert!(blocks * 512 >= 3 << 20, "the file is sparse");
        ballast.release();
        assert_eq!(ballast.kept(), 0);
    }

    #[test]
    fn grows_with_the_store_up_to_its_limit() {
        let ballast = Ballast::new(Path::new("/nowhere"), 64 << 20);
        assert_eq!([0, 80 << 20, 1 << 40].map(|live| ballast.wanted(live)), [4 << 20, 10 << 20, 64 << 20]);
    }
}
