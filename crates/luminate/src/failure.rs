//! How a command fails, and what that means for a script.

use std::error::Error;
use std::io;

use crate::client::ClientError;

/// Why a command did not do all it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandFailure {
    /// The command line is wrong in a way that the parser of flags cannot see.
    #[error("{0}")]
    Usage(String),
    /// The server did not do what it was asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Something here went wrong: a file, a setting.
    #[error(transparent)]
    Local(#[from] anyhow::Error),
    /// Some samples were stored, others rejected.
    #[error("{0}")]
    Partly(String),
    /// Standard output cannot be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl CommandFailure {
    /// The exit code; `luminate --help` lists them.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Local(_) | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::Client(error) => error.exit_code(),
            Self::Partly(_) => 5,
        }
    }

    /// The whole story: the failure and its causes.
    pub(crate) fn for_people(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once_each() {
        let cause = io::Error::new(io::ErrorKind::NotFound, "no such file");
        let failure = CommandFailure::from(anyhow::Error::new(cause).context("cannot read samples.jsonl"));
        assert_eq!(failure.for_people(), "cannot read samples.jsonl: no such file");
        assert_eq!(failure.exit_code(), 1);
        assert_eq!(CommandFailure::Usage("no".to_owned()).exit_code(), 2);
    }
}
