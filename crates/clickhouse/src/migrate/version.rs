//! The oldest server that works.

use super::MigrateError;
use crate::client::{Hosts, Statement};

/// The oldest version, for people. From 26.2 on a server can compute the id of a series (`xxh3_128`).
pub const OLDEST: &str = "26.2";
const OLDEST_NUMBERS: (u32, u32) = (26, 2);

/// Asks a server for its version.
///
/// # Errors
/// [`MigrateError::Version`] where it is too old.
pub async fn check(hosts: &Hosts) -> Result<String, MigrateError> {
    let rows: Vec<(String,)> = hosts.rows(&Statement::new("SELECT version()")).await?;
    let version = rows.into_iter().next().map(|(version,)| version).unwrap_or_default();
    if numbers(&version).is_some_and(|numbers| numbers >= OLDEST_NUMBERS) {
        Ok(version)
    } else {
        Err(MigrateError::Version { version })
    }
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("26.10.1.1") >= Some(OLDEST_NUMBERS));
        assert!(numbers("26.2.1.1") >= Some(OLDEST_NUMBERS));
        assert!(numbers("25.12.1.1") < Some(OLDEST_NUMBERS));
        assert_eq!(numbers("new"), None);
    }
}
