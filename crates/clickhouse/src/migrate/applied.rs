//! Which migrations a database has, and whether that fits this program.

use std::time::Duration;

use super::{Form, MigrateError, Migration};
use crate::client::{ClientError, Hosts, Statement, codes};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS $database.migrations$on_cluster
(
    number UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = $merge_tree_of_all
ORDER BY number
SETTINGS index_granularity = 8192$durable;
";

/// Time to note a migration. What is not noted is applied again, which a table that is there already refuses.
const NOTE_LIMIT: Duration = Duration::from_secs(60);

/// A migration that was applied, as the database has it: number, name, checksum.
type Applied = (u32, String, String);

/// Makes the table that says what was applied.
pub(super) fn table(form: &Form, database: &str) -> Vec<String> {
    form.render(TABLE, database)
}

/// What was applied, in order; nothing where there is no database.
pub(super) async fn read(hosts: &Hosts, database: &str) -> Result<Vec<Applied>, ClientError> {
    let sql =
        format!("SELECT number, any(name), any(checksum) FROM {database}.migrations GROUP BY number ORDER BY number");
    match hosts.rows(&Statement::new(sql)).await {
        Err(error) if matches!(error.server_code(), Some(codes::UNKNOWN_TABLE | codes::UNKNOWN_DATABASE)) => {
            Ok(Vec::new())
        }
        read => read,
    }
}

/// Notes that a migration was applied.
pub(super) async fn note(hosts: &Hosts, database: &str, migration: &Migration) -> Result<(), ClientError> {
    let sql = format!(
        "INSERT INTO {database}.migrations (number, name, checksum) SELECT {{number:UInt32}}, {{name:String}}, {{checksum:String}}"
    );
    let statement = Statement::new(sql)
        .number("number", migration.number)
        .text("name", migration.name)
        .text("checksum", &migration.checksum())
        .setting("async_insert", 0)
        .within(NOTE_LIMIT);
    hosts.execute(&statement).await
}

/// The migrations that are still to be applied.
///
/// # Errors
/// [`MigrateError`] where one that was applied is unknown here or has another text.
pub(super) fn missing<'m>(known: &'m [Migration], applied: &[Applied]) -> Result<Vec<&'m Migration>, MigrateError> {
    for (number, name, checksum) in applied {
        let migration = known.iter().find(|migration| migration.number == *number);
        let migration = migration.ok_or_else(|| MigrateError::Unknown { number: *number, name: name.clone() })?;
        if migration.checksum() != *checksum {
            return Err(MigrateError::Changed { number: *number, name: name.clone() });
        }
    }
    let is_applied = |migration: &&Migration| applied.iter().any(|(number, ..)| *number == migration.number);
    Ok(known.iter().filter(|migration| !is_applied(migration)).collect())
}
