//! Making and changing the tables: `luminate migrate`, and what services ask at their start.
//!
//! | module | holds |
//! |---|---|
//! | [`embedded`] | [`MIGRATIONS`]: the texts, from `schemas/clickhouse/` |
//! | [`form`] | [`Form`]: one text rendered for a server, a managed service or a cluster |
//! | `applied` | which ones a database has |
//! | `lock` | one migration at a time |
//! | [`version`] | the oldest server that works |

mod applied;
pub mod embedded;
pub mod form;
mod lock;
#[cfg(test)]
mod tests;
pub mod version;

pub use embedded::{MIGRATIONS, Migration};
pub use form::Form;

use std::time::Duration;

use crate::client::{ClientError, Hosts, Statement, Topology};
use crate::config::ClickHouseConfig;

/// Time for one change of tables.
const DDL_LIMIT: Duration = Duration::from_secs(600);

/// Why the tables are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The server did not do what it was asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server is too old.
    #[error("ClickHouse {version} is too old: {} or newer is needed", version::OLDEST)]
    Version {
        /// The server's version.
        version: String,
    },
    /// Somebody else is migrating.
    #[error("another migration holds the lock ({holder}); if it is dead, break the lock with --break-lock")]
    Locked {
        /// Who holds it.
        holder: String,
    },
    /// A migration that was applied has another text here.
    #[error(
        "migration {number} ({name}) was applied with another text than this version has: \
             the database is of another version of this program, or its migrations were tampered with"
    )]
    Changed {
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
    },
    /// A migration that was applied is not known here.
    #[error(
        "migration {number} ({name}) was applied, but this version does not know it: the database is of a newer version"
    )]
    Unknown {
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
    },
    /// Migrations are still to be applied.
    #[error("migration {number} ({name}) is not applied: run `luminate migrate`")]
    Missing {
        /// The first one's number.
        number: u32,
        /// The first one's name.
        name: &'static str,
    },
}

impl MigrateError {
    /// Whether trying again later may help without anybody doing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Client(error) if !matches!(error, ClientError::Config(_)))
    }
}

/// Applies what is missing and returns it. Does nothing, without a lock, where nothing is missing.
///
/// `break_lock` takes away another's lock first. `holder` says who asks, for others to see.
///
/// # Errors
/// [`MigrateError`]; what was applied before it is noted and is not applied again.
pub async fn migrate(
    config: &ClickHouseConfig,
    holder: &str,
    break_lock: bool,
) -> Result<Vec<Migration>, MigrateError> {
    migrate_to(config, MIGRATIONS, holder, break_lock).await
}

/// Whether the servers are new enough and have exactly the migrations that this program knows.
///
/// # Errors
/// [`MigrateError`]
pub async fn check(config: &ClickHouseConfig) -> Result<(), MigrateError> {
    let hosts = Hosts::new(config)?;
    version::check(&hosts).await?;
    Topology::check_cluster(config, &hosts).await?;
    let applied = applied::read(&hosts, &config.database).await?;
    match applied::missing(MIGRATIONS, &applied)?.first() {
        Some(first) => Err(MigrateError::Missing { number: first.number, name: first.name }),
        None => Ok(()),
    }
}

/// Waits until the servers answer, and have exactly the migrations that this program knows. Waits without a deadline; drop it to
/// stop.
///
/// # Errors
/// [`MigrateError`] where waiting does not help.
pub async fn wait_until_migrated(config: &ClickHouseConfig) -> Result<(), MigrateError> {
    let mut delay = Duration::from_millis(200);
    loop {
        match check(config).await {
            Err(error) if error.is_retryable() => tracing::warn!(%error, "ClickHouse does not answer yet"),
            outcome => return outcome,
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(Duration::from_secs(5));
    }
}

async fn migrate_to(
    config: &ClickHouseConfig,
    known: &[Migration],
    holder: &str,
    break_lock: bool,
) -> Result<Vec<Migration>, MigrateError> {
    let hosts = Hosts::new(config)?;
    version::check(&hosts).await?;
    Topology::check_cluster(config, &hosts).await?;
    let database = config.database.as_str();
    let form = form_of(config, &hosts).await?;
    if break_lock {
        lock::release(&hosts, &form, database).await?;
    }
    if applied::missing(known, &applied::read(&hosts, database).await?)?.is_empty() {
        return Ok(Vec::new());
    }
    execute(&hosts, &form, format!("CREATE DATABASE IF NOT EXISTS {database}{}", form.on_cluster())).await?;
    lock::take(&hosts, &form, database, holder).await?;
    let applied = apply(&hosts, &form, database, known).await;
    // The first failure is the one to tell.
    let released = lock::release(&hosts, &form, database).await;
    let applied = applied?;
    released?;
    Ok(applied)
}

/// Applies what is missing; the lock is held.
async fn apply(
    hosts: &Hosts,
    form: &Form,
    database: &str,
    known: &[Migration],
) -> Result<Vec<Migration>, MigrateError> {
    for statement in applied::table(form, database) {
        execute(hosts, form, statement).await?;
    }
    // Asked again: another one may have been at work until the lock was ours.
    let missing = applied::missing(known, &applied::read(hosts, database).await?)?;
    for migration in &missing {
        for statement in form.render(migration.text, database) {
            execute(hosts, form, statement).await?;
        }
        applied::note(hosts, database, migration).await?;
        tracing::info!(number = migration.number, name = migration.name, "migration applied");
    }
    Ok(missing.into_iter().copied().collect())
}

async fn execute(hosts: &Hosts, form: &Form, sql: String) -> Result<(), ClientError> {
    hosts.execute(&of_tables(form, sql)).await
}

/// A statement that changes tables: it may have to wait for others on every server of a cluster.
fn of_tables(form: &Form, sql: String) -> Statement {
    let statement = Statement::new(sql).within(DDL_LIMIT);
    form.settings().iter().fold(statement, |statement, (name, value)| statement.setting(*name, value))
}

/// A managed service is known by its engine.
async fn form_of(config: &ClickHouseConfig, hosts: &Hosts) -> Result<Form, ClientError> {
    if let Some(cluster) = &config.cluster {
        return Ok(Form::Cluster(cluster.clone()));
    }
    let sql = "SELECT count() FROM system.table_engines WHERE name = 'SharedMergeTree'";
    let engines: Vec<(u64,)> = hosts.rows(&Statement::new(sql)).await?;
    Ok(if engines == [(0,)] { Form::Single } else { Form::Managed })
}
