//! The owner of data.

use std::fmt;
use std::sync::Arc;

/// The longest name of a tenant, in bytes.
pub const MAX_TENANT_BYTES: usize = 64;

/// A tenant's name: `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`, safe in keys, topics, paths and URLs.
///
/// Whoever holds one has taken it from a verified token, a record's key, a topic's name or the store, never from the
/// body of a request. `clippy.toml` bans [`TenantId::parse`] everywhere else.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// The text is no tenant's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tenant's name is 1 to 64 of A-Z a-z 0-9 _ -, and begins with a letter or digit (got {size} bytes)")]
pub struct InvalidTenant {
    /// Size of the refused text in bytes; the text itself is not repeated, it may be anything.
    pub size: usize,
}

impl TenantId {
    /// Takes the name of a tenant from a trusted place: a verified token, a record's key, a topic's name, the store.
    ///
    /// # Errors
    /// [`InvalidTenant`] where the text does not have the form of a tenant's name.
    pub fn parse(text: &str) -> Result<Self, InvalidTenant> {
        let bytes = text.as_bytes();
        let begins_well = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
        let continues_well = bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'-');
        if begins_well && continues_well && bytes.len() <= MAX_TENANT_BYTES {
            Ok(Self(Arc::from(text)))
        } else {
            Err(InvalidTenant { size: bytes.len() })
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({})", self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_documented_form_and_nothing_else() {
        for good in ["a", "A-1_b", "0", &"x".repeat(64)] {
            assert_eq!(TenantId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "_a", "a/b", "a.b", "a b", "ä", &"x".repeat(65), "a\n"] {
            assert_eq!(TenantId::parse(bad), Err(InvalidTenant { size: bad.len() }), "{bad:?}");
        }
    }
}
