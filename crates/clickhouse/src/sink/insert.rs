//! One slice, one block, one insert, one token.

use std::time::Duration;

use luminate_model::{Offset, Source};
use luminate_storage::{Permit, StorageError};

use super::block::{BlockEncoder, COLUMN_NAMES};
use super::failure::unavailable;
use super::plan::{Plan, Slice};
use crate::client::{ClientError, Host, Statement, codes};
use crate::config::InsertConfig;
use crate::layout::{Layout, Replication};

/// Below this an insert is not begun: it would hardly end in time.
const SHORTEST: Duration = Duration::from_millis(200);

/// What an insert needs to know besides its rows.
pub(super) struct Inserter<'a> {
    pub(super) host: &'a Host,
    pub(super) layout: &'a Layout,
    pub(super) config: &'a InsertConfig,
    /// Full name of the table.
    pub(super) table: &'a str,
    pub(super) source: Source,
    /// The batch's range.
    pub(super) first: Offset,
    pub(super) next: Offset,
    pub(super) permit: Permit,
}

impl Inserter<'_> {
    /// Inserts a slice, synchronously and in one block. The server drops it where it knows the token of this attempt.
    ///
    /// # Errors
    /// [`StorageError::PermitExpired`] before anything was sent; after others that may be retried it may be stored.
    pub(super) async fn insert(&self, plan: &Plan<'_>, slice: &Slice, attempt: u32) -> Result<(), StorageError> {
        let limit = time_limit(self.config, self.permit)?;
        let source = self.source.to_string();
        let mut encoder = BlockEncoder::new(plan, slice, &source);
        let mut insert = self.host.begin_insert(self.statement(slice, attempt, limit), limit);
        while let Some(piece) = encoder.next_piece() {
            // A process that slept with an insert in hand must not go on with it: the rest stays unsent, and the server stores
            // nothing of a block that it has not whole.
            if self.permit.remaining().is_err() {
                let reason = "the permission to store ended while a batch was being sent";
                return Err(StorageError::Unavailable(reason.to_owned()));
            }
            insert.send(piece).await.map_err(insert_failed)?;
        }
        insert.end().await.map_err(insert_failed)
    }

    fn statement(&self, slice: &Slice, attempt: u32, limit: Duration) -> Statement {
        let Self { table, source, first, next, .. } = self;
        let name = slice.name();
        let more_than_the_block = slice.len() + 1;
        let mut statement = Statement::new(format!("INSERT INTO {table} ({}) FORMAT Native", COLUMN_NAMES))
            // Two inserts of one slice at a time would race on one server, where a token is noted before its part can be seen:
            // the second is refused as long as the first one runs.
            .setting("query_id", format!("luminate/{table}/{source}/{first}-{next}/{name}"))
            .setting("insert_deduplication_token", format!("{source}/{first}-{next}/{name}/{attempt}"))
            .setting("insert_deduplicate", 1)
            .setting("async_insert", 0)
            .setting("max_insert_block_size", more_than_the_block)
            .setting("min_insert_block_size_rows", more_than_the_block)
            .setting("min_insert_block_size_bytes", 0)
            .setting("timeout_overflow_mode", "throw")
            .setting("max_execution_time", format!("{:.3}", limit.as_secs_f64()));
        if self.layout.knows_deduplicate_insert {
            statement = statement.setting("deduplicate_insert", "enable");
        }
        if self.layout.replication == Replication::Replicated {
            statement = statement
                .setting("insert_quorum", &self.config.quorum)
                .setting("insert_quorum_timeout", limit.as_millis());
        }
        statement
    }
}

/// The time that a statement of a batch may take: within the permission, with room for its way to the server.
pub(super) fn time_limit(config: &InsertConfig, permit: Permit) -> Result<Duration, StorageError> {
    let limit = config.timeout.get().min(permit.remaining()? / 10 * 9);
    if limit < SHORTEST { Err(StorageError::PermitExpired) } else { Ok(limit) }
}

fn insert_failed(error: ClientError) -> StorageError {
    match error.server_code() {
        Some(codes::QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING) => {
            StorageError::Unavailable("an earlier insert of the same rows is still running".to_owned())
        }
        _ => unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insert_ends_within_the_permission() {
        let config = InsertConfig::default();
        let ten_seconds = Permit::from(Permit::now(), Duration::from_secs(10));
        let limit = time_limit(&config, ten_seconds).ok();
        assert!(limit.is_some_and(|limit| limit <= Duration::from_secs(9) && limit > Duration::from_secs(8)));
        assert_eq!(time_limit(&config, Permit::unlimited()).ok(), Some(config.timeout.get()));
        for too_short in [Duration::ZERO, Duration::from_millis(100)] {
            let permit = Permit::from(Permit::now(), too_short);
            assert!(matches!(time_limit(&config, permit), Err(StorageError::PermitExpired)));
        }
    }
}
