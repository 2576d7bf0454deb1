//! One partition, as its reader holds it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use luminate_model::{Offset, Source, TenantId};
use luminate_queue::{Committed, ConsumedRecord, PartitionConsumer, QueueError};
use tokio::time::timeout;

use super::owned::OwnedPartition;
use super::session::Session;
use super::{Commits, commit, seek};
use crate::error::blocking;

/// A wake-up comes when a queue of fetched records is no longer empty; should one ever be missed, this is the delay.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Reads the records of one partition. What was fetched ahead waits in librdkafka, within the configured bound.
pub(crate) struct KafkaPartition {
    session: Arc<Session>,
    owned: Arc<OwnedPartition>,
    /// A record that did not fit into the last answer.
    left_over: Option<ConsumedRecord>,
}

impl KafkaPartition {
    pub(crate) fn new(session: Arc<Session>, owned: Arc<OwnedPartition>) -> Self {
        Self { session, owned, left_over: None }
    }

    /// What is there now; `None` where that is nothing. Without an await, so that no record is lost with a cancelled future.
    fn take(&mut self, max_bytes: usize) -> Result<Option<Vec<ConsumedRecord>>, QueueError> {
        if self.session.is_closed() {
            return Err(QueueError::Closed);
        }
        if self.owned.lease.is_ended() {
            return Err(QueueError::Fenced(self.owned.source().to_string()));
        }
        let (mut records, mut bytes) = (Vec::new(), 0_usize);
        while let Some(record) = self.left_over.take().or_else(|| self.owned.next_record()) {
            bytes = bytes.saturating_add(record.size());
            if bytes > max_bytes && !records.is_empty() {
                self.left_over = Some(record);
                break;
            }
            records.push(record);
            if bytes >= max_bytes {
                break;
            }
        }
        match records.last() {
            Some(last) => {
                self.owned.set_position(last.offset.next());
                Ok(Some(records))
            }
            None => {
                if self.owned.is_unreadable() {
                    self.session.pause(&self.owned.place());
                }
                self.owned.fault().map_or(Ok(None), Err)
            }
        }
    }
}

#[async_trait]
impl PartitionConsumer for KafkaPartition {
    fn source(&self) -> Source {
        self.owned.source()
    }

    fn topic(&self) -> Option<&str> {
        Some(&self.owned.topic.name)
    }

    fn owner(&self) -> Option<&TenantId> {
        self.owned.topic.owner.as_ref()
    }

    fn session_timeout(&self) -> Option<Duration> {
        self.session.session_timeout()
    }

    fn committed(&self) -> &Committed {
        &self.owned.committed
    }

    async fn seek(&mut self, next: Offset) -> Result<(), QueueError> {
        if next == self.owned.position() && self.owned.fault().is_none() {
            return Ok(());
        }
        let (session, owned) = (Arc::clone(&self.session), Arc::clone(&self.owned));
        self.left_over = None;
        blocking(move || seek::seek(&session, &owned, next)).await
    }

    async fn poll(&mut self, max_bytes: usize) -> Result<Vec<ConsumedRecord>, QueueError> {
        loop {
            let changed = Arc::clone(&self.owned.changed);
            // A wake-up between looking and waiting is kept for the waiting.
            if let Some(records) = self.take(max_bytes)? {
                return Ok(records);
            }
            // Whether it was woken or not, it looks again.
            let _ = timeout(LOOK_AGAIN, changed.notified()).await;
        }
    }

    async fn commit(&mut self, next: Offset, metadata: &str) -> Result<(), QueueError> {
        if self.session.commits == Commits::Hint {
            commit::hint(&self.session, &self.owned, next);
            return Ok(());
        }
        let (session, owned, metadata) = (Arc::clone(&self.session), Arc::clone(&self.owned), metadata.to_owned());
        blocking(move || commit::commit(&session, &owned, next, &metadata)).await
    }

    fn end(&self) -> Offset {
        self.owned.end()
    }
}
