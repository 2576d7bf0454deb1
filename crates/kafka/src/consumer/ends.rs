//! How far the owned partitions reach.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use luminate_model::{Offset, Source};
use luminate_queue::{QueueAdmin, QueueError};

use super::session::Session;

/// The ends of the partitions that a consumer owns, as they were seen last: for lag, without asking brokers each time.
#[derive(Clone)]
pub struct OwnedEnds {
    session: Weak<Session>,
}

impl OwnedEnds {
    pub(super) fn new(session: &Arc<Session>) -> Self {
        Self { session: Arc::downgrade(session) }
    }
}

#[async_trait]
impl QueueAdmin for OwnedEnds {
    async fn ends(&self) -> Result<Vec<(Source, Offset)>, QueueError> {
        let session = self.session.upgrade().ok_or(QueueError::Closed)?;
        Ok(session.owned().iter().map(|owned| (owned.source(), owned.end())).collect())
    }

    fn unopened(&self) -> usize {
        self.session.upgrade().map_or(0, |session| session.unopened().len())
    }

    async fn scrub(&self) -> Result<(), QueueError> {
        Ok(())
    }
}
