//! The data folder: made for its owner alone, and told which queue and store it is for.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::config::StorageBackend;
use super::modes::Mode;
use super::queue_config::QueueBackend;

/// The file that says which queue and store a folder is for.
const MODE_FILE: &str = "mode";

/// What a folder is for that was made before folders said so.
const SINGLE_NODE: Mode = Mode { queue: QueueBackend::Embedded, store: StorageBackend::Rocksdb };

/// Makes the folder, for its owner alone: all tenants' data is in it.
pub(super) fn make(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the data folder {}", folder.display()))
}

/// Notes in a new folder what it is for, and refuses one that is for something else: what it holds would not be seen, and what
/// its queue holds could be stored twice.
///
/// # Errors
/// Where it is for something else, or cannot be read or written; names the folder.
pub(super) fn claim(folder: &Path, mode: Mode) -> anyhow::Result<()> {
    let file = folder.join(MODE_FILE);
    let known = match fs::read_to_string(&file) {
        Ok(text) => text.trim().to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let holds_data = folder.join("queue").exists() || folder.join("store").exists();
            let known = if holds_data { SINGLE_NODE } else { mode }.to_string();
            note(folder, &known).with_context(|| format!("cannot write {}", file.display()))?;
            known
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    if known != mode.to_string() {
        bail!(
            "the data folder {} is for {known}, and the settings say {mode} (LUMINATE_QUEUE_BACKEND, LUMINATE_STORAGE_BACKEND): \
             what it holds would not be seen. Choose another folder, or the settings that it was made with",
            folder.display()
        );
    }
    Ok(())
}

/// Durable when it returns, and there as a whole or not at all.
fn note(folder: &Path, text: &str) -> std::io::Result<()> {
    let temporary = folder.join(format!("{MODE_FILE}.new"));
    let mut file = File::create(&temporary)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(MODE_FILE))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const EDGE: Mode = Mode { queue: QueueBackend::Kafka, store: StorageBackend::Rocksdb };

    #[test]
    fn a_folder_is_for_what_it_was_made_for() {
        let folder = tempfile::tempdir().unwrap();
        claim(folder.path(), EDGE).unwrap();
        claim(folder.path(), EDGE).unwrap();
        let refused = claim(folder.path(), SINGLE_NODE).unwrap_err().to_string();
        assert!(refused.contains("is for queue `kafka` and store `rocksdb`"), "{refused}");
        assert!(refused.contains("say queue `embedded` and store `rocksdb`"), "{refused}");
    }

    #[test]
    fn a_folder_that_says_nothing_and_holds_data_is_a_single_nodes() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("queue")).unwrap();
        assert!(claim(folder.path(), EDGE).is_err());
        claim(folder.path(), SINGLE_NODE).unwrap();
    }
}
