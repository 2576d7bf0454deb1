//! The secret that a first start makes.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

use crate::hs256::{KeyError, MIN_SECRET_BYTES};
use crate::secret::Secret;

/// The file's name in the data folder.
pub const SECRET_FILE_NAME: &str = "jwt-secret";

/// What a new secret is made of, in bytes; in the file it is hexadecimal text, twice as long.
const NEW_SECRET_RANDOM_BYTES: usize = 32;

/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4096;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretOrigin {
    /// This call has made the file.
    Created(PathBuf),
    /// The file was there.
    Existing(PathBuf),
}

/// The secret's file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// Others than the owner may read it, so others may make tokens.
    #[error(
        "{} may be read by others than its owner (mode {mode:03o}); anyone who read it can make tokens. \
         Remove it, so that a new secret is made, or `chmod 600` it if you are sure",
        path.display()
    )]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// What it holds is no secret.
    #[error("{} holds no usable secret: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No random bytes could be had.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// It could not be read or made.
    #[error("{} could not be {attempted}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a participle.
        attempted: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl SecretFileError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ReadableByOthers { .. } => "secret_file_readable_by_others",
            Self::Unusable { .. } => "secret_file_unusable",
            Self::NoRandomness => "no_randomness",
            Self::Io { .. } => "secret_file_io",
        }
    }
}

/// The secret in the data folder: read from [`SECRET_FILE_NAME`], or made there (mode 0600) where there is none.
///
/// A new file appears whole and synced or not at all, also when two processes start at once: both then use the same one.
///
/// # Errors
/// [`SecretFileError`] where the file may be read by others, holds no secret of [`MIN_SECRET_BYTES`], or cannot be read or made.
pub fn load_or_create_secret(data_dir: &Path) -> Result<(Secret, SecretOrigin), SecretFileError> {
    let path = data_dir.join(SECRET_FILE_NAME);
    if let Some(secret) = read(&path)? {
        return Ok((secret, SecretOrigin::Existing(path)));
    }
    let made_here = create(data_dir, &path)?;
    match read(&path)? {
        Some(secret) if made_here => Ok((secret, SecretOrigin::Created(path))),
        Some(secret) => Ok((secret, SecretOrigin::Existing(path))),
        None => Err(SecretFileError::Unusable { path, reason: "it vanished while it was being made".to_owned() }),
    }
}

/// `None` where there is no file.
fn read(path: &Path) -> Result<Option<Secret>, SecretFileError> {
    let failed = |source| SecretFileError::Io { path: path.to_owned(), attempted: "read", source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretFileError::ReadableByOthers { path: path.to_owned(), mode });
    }
    let unusable = |reason| Err(SecretFileError::Unusable { path: path.to_owned(), reason });
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return unusable(format!("it is larger than {MAX_FILE_BYTES} bytes"));
    }
    let secret = Secret::new(text.trim());
    if secret.len() < MIN_SECRET_BYTES {
        return unusable(KeyError::SecretTooShort { size: secret.len() }.to_string());
    }
    Ok(Some(secret))
}

/// Makes the file with a new secret. `false` where another process was first, whose file then stands.
fn create(data_dir: &Path, path: &Path) -> Result<bool, SecretFileError> {
    let failed = |attempted| {
        let path = path.to_owned();
        move |source| SecretFileError::Io { path, attempted, source }
    };
    fs::create_dir_all(data_dir).map_err(|source| SecretFileError::Io {
        path: data_dir.to_owned(),
        attempted: "made",
        source,
    })?;
    let temporary = data_dir.join(format!("{SECRET_FILE_NAME}.{}.new", process::id()));
    write_synced(&temporary, &new_secret()?).map_err(failed("written"))?;
    // A link, unlike a renaming, fails where the name is taken: the first process wins, and no token that it has made
    // loses its secret. Some file systems have no links.
    let made_here = match fs::hard_link(&temporary, path) {
        Ok(()) => fs::remove_file(&temporary).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(&temporary).map(|()| false),
        Err(_) => fs::rename(&temporary, path).map(|()| true),
    }
    .map_err(failed("put in its place"))?;
    File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(failed("synced"))?;
    Ok(made_here)
}

fn write_synced(path: &Path, text: &str) -> io::Result<()> {
    // What a killed start left behind under this process id.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

fn new_secret() -> Result<String, SecretFileError> {
    let mut random = [0; NEW_SECRET_RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| SecretFileError::NoRandomness)?;
    let mut text = String::with_capacity(2 * random.len());
    for byte in random {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread;

    use super::*;

    #[test]
    fn a_first_start_makes_a_secret_and_a_second_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("not/there/yet");
        let path = data_dir.join(SECRET_FILE_NAME);
        let (made, origin) = load_or_create_secret(&data_dir).unwrap();
        assert_eq!(origin, SecretOrigin::Created(path.clone()));
        assert_eq!(made.len(), 2 * NEW_SECRET_RANDOM_BYTES);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);

        let (found, origin) = load_or_create_secret(&data_dir).unwrap();
        assert_eq!(origin, SecretOrigin::Existing(path));
        assert_eq!(found, made);
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn two_folders_have_two_secrets() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_ne!(load_or_create_secret(one.path()).unwrap().0, load_or_create_secret(other.path()).unwrap().0);
    }

    #[test]
    fn starts_at_the_same_time_agree() {
        // Threads of one process share the temporary name, so here they take turns at making; the loser of the link must
        // still come back with the winner's secret.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SECRET_FILE_NAME);
        assert!(create(dir.path(), &path).unwrap());
        let winner = read(&path).unwrap().unwrap();
        assert!(!create(dir.path(), &path).unwrap());
        assert_eq!(read(&path).unwrap().unwrap(), winner);
        let readers: Vec<_> = (0..8)
            .map(|_| {
                let data_dir = dir.path().to_owned();
                thread::spawn(move || load_or_create_secret(&data_dir).unwrap().0)
            })
            .collect();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), winner);
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create_secret(dir.path()).unwrap();
        let path = dir.path().join(SECRET_FILE_NAME);
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = load_or_create_secret(dir.path()).unwrap_err();
            assert_eq!(error.code(), "secret_file_readable_by_others");
            assert!(error.to_string().contains(&format!("mode {mode:03o}")), "{error}");
        }
    }

    #[test]
    fn a_short_long_or_binary_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SECRET_FILE_NAME);
        write_synced(&path, "too short").unwrap();
        let error = load_or_create_secret(dir.path()).unwrap_err();
        assert_eq!(error.code(), "secret_file_unusable");
        assert!(error.to_string().contains("9 bytes"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "too short\n");

        fs::write(&path, "x".repeat(4097)).unwrap();
        assert_eq!(load_or_create_secret(dir.path()).unwrap_err().code(), "secret_file_unusable");

        fs::write(&path, [0xff; 64]).unwrap();
        assert_eq!(load_or_create_secret(dir.path()).unwrap_err().code(), "secret_file_io");
    }
}
