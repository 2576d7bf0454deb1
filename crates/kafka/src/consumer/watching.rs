//! Looks again and again whether positions lie in what the topics hold, whether topics were made again, and where they end. An
//! error of the client says neither topic nor partition, so that looking is the only way to know. What is assigned and could not be
//! opened is tried again. A client that has forgotten the brokers is given them again also while its poll thread, which would hear of
//! it, waits for revoked partitions: these may wait for commits, which wait for a broker.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use luminate_model::Offset;
use luminate_queue::QueueError;
use rdkafka::consumer::Consumer as _;

use super::opening;
use super::owned::OwnedPartition;
use super::session::Session;
use crate::cluster::Place;

/// Time between attempts to open what is assigned.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// Has the watching thread look now, or end.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    wanted: Mutex<bool>,
    changed: Condvar,
}

impl Watch {
    /// Looks soon instead of at its next turn.
    pub(crate) fn look_now(&self) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Looks until the session ends. A thread's main function.
    pub(crate) fn run(&self, session: &Arc<Session>) {
        let every = session.cluster.config().consumer.watch_interval.get();
        while !session.is_stopping() {
            self.wait(if session.unopened().is_empty() { every } else { every.min(OPEN_AGAIN) });
            opening::open_late(session);
            if let Err(error) = look(session) {
                tracing::debug!(%error, "positions were not compared");
            }
            if session.bootstrap.is_silent() {
                listen(session);
            }
        }
    }

    fn wait(&self, patience: Duration) {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(wanted, patience, |wanted| !*wanted);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// Restores the client where brokers answer this process, and it finds none.
fn listen(session: &Session) {
    let samples = session.cluster.names().samples().to_owned();
    let Some(client) = session.client() else { return };
    if session.cluster.describe_told(std::slice::from_ref(&samples)).is_ok() {
        session.bootstrap.restore_silent(client.client(), &samples);
    }
}

/// One look at every owned partition.
pub(crate) fn look(session: &Session) -> Result<(), QueueError> {
    let owned = session.owned();
    let names: BTreeSet<String> = owned.iter().map(|owned| owned.topic.name.clone()).collect();
    let topics = session.cluster.describe_told(&names.into_iter().collect::<Vec<_>>())?;
    let mut same: Vec<(Arc<OwnedPartition>, Offset)> = Vec::with_capacity(owned.len());
    for owned in owned {
        match topics.named(&owned.topic.name) {
            Some(topic) if topic.incarnation != owned.topic.incarnation => owned.made_again(topic),
            Some(_) => {
                let before = owned.position();
                same.push((owned, before));
            }
            // Gone for good, or about to be made again: the next look tells.
            None => {}
        }
    }
    let places: Vec<Place> = same.iter().map(|(owned, _)| owned.place()).collect();
    for ((owned, before), bounds) in same.iter().zip(session.cluster.bounds(&places)) {
        match bounds {
            Ok(bounds) => owned.compare(*before, bounds),
            Err(error) => tracing::debug!(source = %owned.source(), %error, "a position was not compared"),
        }
    }
    Ok(())
}
