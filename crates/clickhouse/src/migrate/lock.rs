//! One migration at a time.
//!
//! The lock is a table: creating one that exists fails, on one server as in a cluster, whose queue of such statements has one
//! order. It has no time-out, because a migration that is still running must not meet a second one; who knows that its holder
//! is dead breaks it.

use super::{Form, MigrateError, of_tables};
use crate::client::{ClientError, Hosts, Statement, codes};

/// Takes the lock. `holder` says who has it.
pub(super) async fn take(hosts: &Hosts, form: &Form, database: &str, holder: &str) -> Result<(), MigrateError> {
    // Plain characters, because a comment cannot be a parameter.
    let holder: String = holder.chars().filter(|c| c.is_ascii_alphanumeric() || " .:-_".contains(*c)).collect();
    let on_cluster = form.on_cluster();
    let sql =
        format!("CREATE TABLE {database}.migration_lock{on_cluster} (held UInt8) ENGINE = Memory COMMENT '{holder}'");
    match hosts.execute(&of_tables(form, sql)).await {
        Err(error) if is_taken(&error) => Err(MigrateError::Locked { holder: holder_of(hosts, database).await? }),
        taken => Ok(taken?),
    }
}

/// Gives the lock back, or breaks another's.
pub(super) async fn release(hosts: &Hosts, form: &Form, database: &str) -> Result<(), ClientError> {
    let sql = format!("DROP TABLE IF EXISTS {database}.migration_lock{} SYNC", form.on_cluster());
    hosts.execute(&of_tables(form, sql)).await
}

/// A cluster's answer holds the number of each server's error only in its text.
fn is_taken(error: &ClientError) -> bool {
    error.server_code() == Some(codes::TABLE_ALREADY_EXISTS) || error.to_string().contains("TABLE_ALREADY_EXISTS")
}

async fn holder_of(hosts: &Hosts, database: &str) -> Result<String, ClientError> {
    let sql = "SELECT comment FROM system.tables WHERE database = {database:String} AND name = 'migration_lock'";
    let comments: Vec<(String,)> = hosts.rows(&Statement::new(sql).text("database", database)).await?;
    Ok(comments
        .into_iter()
        .next()
        .map_or_else(|| "somebody who has just given it back".to_owned(), |(comment,)| comment))
}
