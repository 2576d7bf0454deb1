//! What lies in a folder of a server.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Every file below `folder`. Files that vanish meanwhile are left out, as a running server's do.
pub fn all(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => files.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    files
}

/// The files below `folder` that hold `text` somewhere.
pub fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let needle = text.as_bytes();
    let holds = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    };
    all(folder).into_iter().filter(holds).collect()
}

/// Bytes that the files below `folder` occupy on disk.
pub fn occupied(folder: &Path) -> u64 {
    all(folder).iter().map(|path| occupied_by(path)).sum()
}

/// Bytes that the table files below `folder` occupy on disk: without logs, for which a running database sets room aside.
pub fn occupied_by_tables(folder: &Path) -> u64 {
    let is_table = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "sst");
    all(folder).iter().filter(is_table).map(|path| occupied_by(path)).sum()
}

fn occupied_by(file: &Path) -> u64 {
    // `st_blocks` counts in 512 bytes, whatever the file system's own blocks are.
    fs::metadata(file).map_or(0, |metadata| metadata.blocks() * 512)
}
