//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

use serde::de;

use super::suggest::nearest;

/// The configuration cannot be used. The text says which key, where it came from, and what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the configuration file {} could not be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("the configuration file {} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size in bytes.
        limit: u64,
    },
    /// The file is not YAML.
    #[error("the configuration file {} is not valid YAML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        reason: String,
    },
    /// A key has no meaning.
    #[error("{}: unknown key{}{}", .0.path, from(.0.origin.as_deref()), meant(.0))]
    UnknownKey(UnknownKey),
    /// A key must be given.
    #[error("{key}: missing")]
    MissingKey {
        /// The full path of the key.
        key: String,
    },
    /// A value does not fit its key.
    #[error("{key}: {reason}{}", from(origin.as_deref()))]
    Value {
        /// The full path of the key.
        key: String,
        /// What is wrong, and what would be right.
        reason: String,
        /// Where the value came from.
        origin: Option<String>,
    },
}

/// A key that no section has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// The full path of the key.
    pub path: String,
    /// The last part of the path, as written.
    pub written: String,
    /// The keys that there are.
    pub known: Vec<&'static str>,
    /// Where it came from.
    pub origin: Option<String>,
}

impl ConfigError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "config_unreadable",
            Self::TooLarge { .. } => "config_too_large",
            Self::Syntax { .. } => "config_syntax",
            Self::UnknownKey(_) => "config_unknown_key",
            Self::MissingKey { .. } => "config_missing_key",
            Self::Value { .. } => "config_value",
        }
    }
}

fn from(origin: Option<&str>) -> String {
    origin.map(|origin| format!(" (from {origin})")).unwrap_or_default()
}

fn meant(unknown: &UnknownKey) -> String {
    match nearest(&unknown.written, unknown.known.iter().copied()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if unknown.known.is_empty() => "; it has no keys".to_owned(),
        None => format!("; there is `{}`", unknown.known.join("`, `")),
    }
}

/// An error while a type is read from the tree: it learns its path on the way out.
#[derive(Debug)]
pub(super) struct ReadError {
    fault: Fault,
    /// From the inside out.
    path: Vec<String>,
    origin: Option<String>,
}

#[derive(Debug)]
enum Fault {
    UnknownKey { written: String, known: Vec<&'static str> },
    MissingKey(&'static str),
    Value(String),
}

impl ReadError {
    fn new(fault: Fault) -> Self {
        Self { fault, path: Vec::new(), origin: None }
    }

    /// The error happened below this key.
    pub(super) fn below(mut self, key: &str) -> Self {
        self.path.push(key.to_owned());
        self
    }

    /// The value came from there, unless something further inside knows better.
    pub(super) fn with_origin(mut self, origin: Option<&str>) -> Self {
        if self.origin.is_none() {
            self.origin = origin.map(ToOwned::to_owned);
        }
        self
    }
}

impl From<ReadError> for ConfigError {
    fn from(error: ReadError) -> Self {
        let ReadError { fault, path, origin } = error;
        let full = |last: Option<&str>| {
            let parts: Vec<&str> = path.iter().rev().map(String::as_str).chain(last).collect();
            if parts.is_empty() { "the configuration".to_owned() } else { parts.join(".") }
        };
        match fault {
            Fault::UnknownKey { written, known } => {
                Self::UnknownKey(UnknownKey { path: full(Some(&written)), written, known, origin })
            }
            Fault::MissingKey(key) => Self::MissingKey { key: full(Some(key)) },
            Fault::Value(reason) => Self::Value { key: full(None), reason, origin },
        }
    }
}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::new(Fault::Value(reason.to_string()))
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Fault::Value(format!("expected {expected}, got {}", Shown(found))))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = expected.to_string();
        // What serde calls the types that exclude 0.
        let expected = if expected.starts_with("a nonzero") { "a whole number of 1 or more" } else { &expected };
        Self::new(Fault::Value(format!("expected {expected}, got {}", Shown(found))))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let near = nearest(variant, expected.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
        Self::new(Fault::Value(format!(
            "expected one of `{}`, got `{variant}`{}",
            expected.join("`, `"),
            near.unwrap_or_default()
        )))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Fault::UnknownKey { written: field.to_owned(), known: expected.to_vec() })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Fault::MissingKey(field))
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.fault)
    }
}

impl std::error::Error for ReadError {}

/// What was found, in the words of a configuration file.
struct Shown<'a>(de::Unexpected<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            de::Unexpected::Bool(value) => write!(f, "`{value}`"),
            de::Unexpected::Unsigned(value) => write!(f, "the number `{value}`"),
            de::Unexpected::Signed(value) => write!(f, "the number `{value}`"),
            de::Unexpected::Float(value) => write!(f, "the number `{value}`"),
            de::Unexpected::Str(value) => write!(f, "the text `{value}`"),
            de::Unexpected::Unit | de::Unexpected::Option => f.write_str("nothing"),
            de::Unexpected::Seq => f.write_str("a list"),
            de::Unexpected::Map => f.write_str("a section"),
            other => write!(f, "{other}"),
        }
    }
}
