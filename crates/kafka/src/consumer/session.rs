//! What the poll thread does when the group gives partitions and takes them away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use luminate_queue::{Assignment, QueueError};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};

use super::owned::OwnedPartition;
use super::partition::KafkaPartition;
use super::pulse::Pulse;
use super::unopened::{Ticket, Unopened};
use super::watching::Watch;
use super::{Commits, opening, seek};
use crate::bootstrap::Bootstrap;
use crate::cluster::{KafkaCluster, Place, partition_number};
use crate::context;

/// How often a thread that waits for others looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The client of a consumer.
pub(crate) type Client = BaseConsumer<SessionContext>;

/// What goes to whoever asks for assignments.
pub(crate) type AssignmentResult = Result<Assignment, QueueError>;

/// One consumer's share in the group, from its start to its end.
pub(crate) struct Session {
    pub(crate) cluster: KafkaCluster,
    pub(crate) commits: Commits,
    pub(crate) pulse: Pulse,
    pub(crate) bootstrap: Bootstrap,
    pub(crate) watch: Watch,
    /// Set when the consumer is dropped: nobody is waited for any more.
    pub(crate) stopping: AtomicBool,
    /// Set when the queue is closed: readers get no more.
    pub(crate) closed: AtomicBool,
    client: OnceLock<Weak<Client>>,
    assignments: mpsc::UnboundedSender<AssignmentResult>,
    owned: Mutex<BTreeMap<Place, Arc<OwnedPartition>>>,
    /// Assigned, and not opened yet. Held also while one of them is opened; `owned` is locked after it, never before.
    unopened: Mutex<Unopened>,
}

/// librdkafka's way to the session.
#[derive(Clone)]
pub(crate) struct SessionContext(pub(crate) Arc<Session>);

impl Session {
    pub(crate) fn new(
        cluster: KafkaCluster,
        commits: Commits,
        bootstrap: Bootstrap,
        assignments: mpsc::UnboundedSender<AssignmentResult>,
    ) -> Self {
        Self {
            cluster,
            commits,
            pulse: Pulse::default(),
            bootstrap,
            watch: Watch::default(),
            stopping: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            client: OnceLock::new(),
            assignments,
            owned: Mutex::default(),
            unopened: Mutex::default(),
        }
    }

    /// Tells the session its client, before anything is assigned.
    pub(crate) fn attach(&self, client: &Arc<Client>) {
        // It is attached once, right after both were made.
        let _ = self.client.set(Arc::downgrade(client));
    }

    /// The client, where it is not ending.
    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.client.get().and_then(Weak::upgrade)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// How long this consumer may store after a commit; `None` where partitions are assigned by configuration.
    pub(crate) fn session_timeout(&self) -> Option<Duration> {
        (!self.is_assigned_by_configuration()).then(|| self.cluster.config().consumer.session_timeout.get())
    }

    /// Whether the configuration says which partitions this consumer has, and not the group.
    pub(crate) fn is_assigned_by_configuration(&self) -> bool {
        !self.cluster.config().consumer.assign.is_empty()
    }

    /// The partitions that are owned now.
    pub(crate) fn owned(&self) -> Vec<Arc<OwnedPartition>> {
        self.lock().values().cloned().collect()
    }

    /// Tells whoever asks for assignments that there will be none.
    pub(crate) fn fail(&self, error: QueueError) {
        // The consumer may be gone already.
        let _ = self.assignments.send(Err(error));
    }

    /// Gives partitions to the consumer, ready to be read from where they were left.
    pub(crate) fn give(self: &Arc<Self>, partitions: Vec<Arc<OwnedPartition>>) {
        for owned in partitions {
            self.lock().insert(owned.place(), Arc::clone(&owned));
            tracing::info!(
                source = %owned.source(), topic = owned.topic.name, next = owned.position().0, "a partition was assigned"
            );
            let partition = KafkaPartition::new(Arc::clone(self), owned);
            // The consumer may be gone already.
            let _ = self.assignments.send(Ok(Assignment::Given(Box::new(partition))));
        }
    }

    /// The partitions that wait to be opened.
    pub(crate) fn unopened(&self) -> Vec<(Place, Ticket)> {
        self.lock_unopened().tickets()
    }

    /// Whether this partition waits to be opened.
    pub(crate) fn is_unopened(&self, topic: &str, partition: i32) -> bool {
        self.lock_unopened().tickets().iter().any(|((name, at), _)| name == topic && partition_number(*at) == partition)
    }

    /// Keeps a partition that is being assigned until it can be opened.
    pub(crate) fn keep_unopened(&self, place: Place, reason: &QueueError) {
        self.pause(&place);
        self.lock_unopened().insert(place, reason);
        self.watch.look_now();
    }

    /// It still cannot be opened.
    pub(crate) fn keep_waiting(&self, place: &Place, ticket: Ticket, reason: &QueueError) {
        self.lock_unopened().tell(place, ticket, reason);
    }

    /// Opens a partition that waited, unless it was taken away meanwhile: what was looked up for `ticket` may be outdated by what
    /// others have committed since.
    ///
    /// # Errors
    /// [`QueueError`]; it goes on waiting.
    pub(crate) fn open_late(
        self: &Arc<Self>,
        client: &Arc<Client>,
        ticket: Ticket,
        owned: Arc<OwnedPartition>,
    ) -> Result<(), QueueError> {
        let place = owned.place();
        // No revocation goes on until this is done, so that it finds the partition here or there.
        let mut unopened = self.lock_unopened();
        if !unopened.holds(&place, ticket) || client.assignment_lost() {
            return Ok(());
        }
        opening::attach(client, &owned)?;
        seek::try_seek(client, &owned, opening::start_of(&owned))?;
        resume(client, std::slice::from_ref(&place));
        unopened.remove(&place);
        self.give(vec![owned]);
        Ok(())
    }

    /// Has nothing more of a partition fetched until it is taken away.
    pub(crate) fn pause(&self, place: &Place) {
        let Some(client) = self.client() else { return };
        if let Err(error) = client.pause(&list_of(std::slice::from_ref(place))) {
            tracing::warn!(%error, topic = place.0, partition = place.1, "a partition is not paused");
        }
    }

    /// Takes partitions away from the consumer. Waits, for a bounded time, until their open batches are settled: commits are still
    /// taken meanwhile. A partition that is lost already is not waited for with commits open: another may own it.
    pub(crate) fn take_away(&self, places: &[Place], lost: bool) {
        {
            let mut unopened = self.lock_unopened();
            places.iter().for_each(|place| unopened.remove(place));
        }
        let taken: Vec<_> = {
            let mut owned = self.lock();
            places.iter().filter_map(|place| owned.remove(place)).collect()
        };
        let mut waiting: Vec<_> = taken.iter().filter_map(|owned| self.announce(owned, lost)).collect();
        let deadline = Instant::now() + self.cluster.config().consumer.max_poll_interval.get() / 3;
        while !waiting.is_empty() && !self.is_stopping() && Instant::now() < deadline {
            waiting.retain_mut(|done| matches!(done.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
            self.pulse.beat();
            std::thread::sleep(LOOK_AGAIN);
        }
        if !waiting.is_empty() && !self.is_stopping() {
            tracing::warn!(partitions = waiting.len(), "revoked partitions were not let go in time");
        }
        for owned in taken {
            owned.lease.end();
            owned.lease.wait_until_unused();
            owned.take_queue();
            tracing::info!(source = %owned.source(), topic = owned.topic.name, lost, "a partition was let go");
        }
        // A pause outlives the assignment: whoever gets the partition back would read nothing.
        if let Some(client) = self.client() {
            resume(&client, places);
        }
    }

    /// `None` where nobody is there to be told.
    fn announce(&self, owned: &OwnedPartition, lost: bool) -> Option<oneshot::Receiver<()>> {
        if lost {
            owned.lease.end();
            owned.changed.notify_one();
        }
        let (done, is_done) = oneshot::channel();
        self.assignments.send(Ok(Assignment::Revoked { source: owned.source(), done })).ok().map(|()| is_done)
    }

    /// Lets every partition go, without asking; the process is ending, or the consumer is.
    pub(crate) fn abandon(&self) {
        let unopened = self.unopened().into_iter().map(|(place, _)| place);
        let places: Vec<Place> = unopened.chain(self.lock().keys().cloned()).collect();
        self.take_away(&places, false);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Place, Arc<OwnedPartition>>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_unopened(&self) -> std::sync::MutexGuard<'_, Unopened> {
        self.unopened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn resume(client: &Client, places: &[Place]) {
    if let Err(error) = client.resume(&list_of(places)) {
        tracing::warn!(%error, "paused partitions are not resumed");
    }
}

fn list_of(places: &[Place]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for (topic, partition) in places {
        list.add_partition(topic, partition_number(*partition));
    }
    list
}

impl ClientContext for SessionContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(self.0.cluster.health(), level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        context::note_error(self.0.cluster.health(), &error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.bootstrap.note(statistics);
    }
}

impl ConsumerContext for SessionContext {
    /// Runs inside of the poll thread's poll.
    fn rebalance(&self, client: &BaseConsumer<Self>, change: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let session = &self.0;
        let result = if change == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let opened = opening::open(session, partitions);
            // The places to begin at stand in the list.
            client.incremental_assign(partitions).inspect(|()| session.give(opened))
        } else {
            let elements = partitions.elements();
            let places = elements.iter().filter_map(|element| {
                u32::try_from(element.partition()).ok().map(|partition| (element.topic().to_owned(), partition))
            });
            session.take_away(&places.collect::<Vec<_>>(), client.assignment_lost());
            client.incremental_unassign(partitions)
        };
        if let Err(error) = result {
            tracing::warn!(%error, "a change of partitions failed; the group will make another one");
        }
    }
}
