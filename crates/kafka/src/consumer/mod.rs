//! What writers hold: partitions of the topics of samples, shared in a group or assigned by configuration.
//!
//! | module | holds |
//! |---|---|
//! | this one | [`KafkaConsumer`] and its threads |
//! | `session` | what happens when the group gives partitions and takes them away |
//! | `opening` | where to begin with an assigned partition |
//! | `unopened` | those of which that is not known yet |
//! | `owned` | the state of an owned partition |
//! | `lease` | the right to commit for it |
//! | `partition` | its reader, the trait's [`PartitionConsumer`](luminate_queue::PartitionConsumer) |
//! | `commit`, `seek`, `records` | what the reader does |
//! | `watching` | positions compared with topics, ends looked up, a silent client given its brokers |
//! | [`ends`] | [`OwnedEnds`]: how far the owned partitions reach, for lag |
//! | `pulse` | whether the poll thread turns |

mod commit;
mod ends;
mod lease;
mod opening;
mod owned;
mod partition;
mod pulse;
pub(crate) mod records;
mod seek;
mod session;
mod unopened;
mod watching;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use luminate_queue::{Assignment, Consumer, QueueError};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError as ClientError;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{mpsc, watch};

pub use ends::OwnedEnds;
pub use pulse::Pulse;

use session::{AssignmentResult, Client, Session, SessionContext};

use crate::bootstrap::Bootstrap;
use crate::cluster::{KafkaCluster, partition_number};
use crate::error::KafkaError;
use crate::settings::Settings;

/// How long one turn of the poll thread waits for something to do.
const TURN: Duration = Duration::from_millis(100);

/// What commits are to a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// They say where to continue.
    Decide,
    /// The store knows where to continue. Partitions are opened at their beginning, whatever was committed; commits are made
    /// for those who look at the group's lag, are not waited for, and may fail.
    Hint,
}

/// Gives partitions to a writer. When it is dropped, it leaves the group; partitions that are still held are fenced then.
pub struct KafkaConsumer {
    session: Arc<Session>,
    assignments: mpsc::UnboundedReceiver<AssignmentResult>,
    closed: watch::Receiver<bool>,
    closing: watch::Sender<bool>,
    polling: Option<JoinHandle<()>>,
}

/// Closes a consumer from elsewhere.
#[derive(Clone)]
pub struct ConsumerCloser {
    session: Arc<Session>,
    closing: watch::Sender<bool>,
}

impl KafkaConsumer {
    /// Joins the group, or takes the partitions that the configuration assigns, and begins where the group's commits say.
    /// Brokers may be away.
    ///
    /// # Errors
    /// [`KafkaError::Client`], [`KafkaError::Thread`]
    pub fn start(cluster: &KafkaCluster) -> Result<Self, KafkaError> {
        Self::start_with(cluster, Commits::Decide)
    }

    /// The same, where commits may be hints.
    ///
    /// # Errors
    /// [`KafkaError::Client`], [`KafkaError::Thread`]
    pub fn start_with(cluster: &KafkaCluster, commits: Commits) -> Result<Self, KafkaError> {
        let (sender, assignments) = mpsc::unbounded_channel();
        let settings = Settings::new(cluster.config()).consumer();
        let session = Arc::new(Session::new(cluster.clone(), commits, Bootstrap::of(&settings), sender));
        let context = SessionContext(Arc::clone(&session));
        let client: Arc<Client> = Arc::new(settings.create_with_context(context).map_err(KafkaError::Client)?);
        session.attach(&client);
        if cluster.config().consumer.assign.is_empty() {
            let topics = cluster.names().subscription();
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            client.subscribe(&topics).map_err(KafkaError::Client)?;
        }
        let (closing, closed) = watch::channel(false);
        let mut consumer = Self { session: Arc::clone(&session), assignments, closed, closing, polling: None };
        let polling = Arc::clone(&session);
        consumer.polling = Some(spawn("kafka-poll", move || poll_until_stopped(&polling, client))?);
        // It ends by itself, and may be waiting for brokers when the consumer is dropped.
        spawn("kafka-watch", move || session.watch.run(&session))?;
        Ok(consumer)
    }

    /// Closes this consumer from elsewhere, so that its writer ends.
    #[must_use]
    pub fn closer(&self) -> ConsumerCloser {
        ConsumerCloser { session: Arc::clone(&self.session), closing: self.closing.clone() }
    }

    /// Whether the poll thread turns, for liveness.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.session.pulse.clone()
    }

    /// How far the owned partitions reach, for lag.
    #[must_use]
    pub fn owned_ends(&self) -> OwnedEnds {
        OwnedEnds::new(&self.session)
    }
}

fn spawn(name: &str, main: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, KafkaError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(main).map_err(KafkaError::Thread)
}

impl ConsumerCloser {
    /// Ends reading: waiting and further polls answer [`QueueError::Closed`]. Commits are taken until the consumer is dropped, so
    /// that open batches can be settled.
    pub fn close(&self) {
        self.session.closed.store(true, Ordering::Release);
        self.closing.send_replace(true);
        self.session.owned().iter().for_each(|owned| owned.changed.notify_one());
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        self.session.stopping.store(true, Ordering::Release);
        self.session.closed.store(true, Ordering::Release);
        self.session.watch.look_now();
        // The client waits for its last commits to be answered, which takes long while brokers are away. Hints are not worth that:
        // the thread ends by itself, or with the process.
        let Some(thread) = self.polling.take().filter(|_| self.session.commits == Commits::Decide) else { return };
        let joined = match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            // The runtime's other tasks go on meanwhile.
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(|| thread.join()),
            _ => thread.join(),
        };
        if joined.is_err() {
            tracing::error!("the poll thread of the kafka consumer has panicked");
        }
    }
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn assignment(&mut self) -> Result<Assignment, QueueError> {
        tokio::select! {
            biased;
            // The sender lives in `self`.
            _ = self.closed.wait_for(|closed| *closed) => Err(QueueError::Closed),
            assignment = self.assignments.recv() => assignment.unwrap_or(Err(QueueError::Closed)),
        }
    }
}

/// The poll thread: serves the group's changes until the consumer is dropped. Records do not come this way: each partition has a
/// queue of its own, so that one that is not read holds up no other, and polling goes on whatever happens to the store.
fn poll_until_stopped(session: &Arc<Session>, client: Arc<Client>) {
    assign_configured(session, &client);
    while !session.is_stopping() {
        session.pulse.beat();
        session.bootstrap.restore(client.client());
        match client.poll(TURN) {
            None => {}
            Some(Ok(_)) => tracing::error!("a record came by the way of no partition; it will be read again"),
            Some(Err(ClientError::MessageConsumptionFatal(code))) => {
                session.fail(QueueError::Damaged(format!("the kafka consumer has failed for good: {code}")));
                break;
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "kafka consumer");
                session.watch.look_now();
            }
        }
    }
    session.abandon();
    // The last hold on the client: letting it go leaves the group.
    drop(client);
}

/// Takes the partitions that the configuration assigns, if it does.
fn assign_configured(session: &Arc<Session>, client: &Client) {
    let mut list = TopicPartitionList::new();
    for (topic, partitions) in &session.cluster.config().consumer.assign {
        for partition in partitions {
            list.add_partition(topic, partition_number(*partition));
        }
    }
    if list.count() == 0 {
        return;
    }
    let opened = opening::open(session, &mut list);
    match client.assign(&list) {
        Ok(()) => session.give(opened),
        Err(error) => session.fail(QueueError::Damaged(format!("partitions cannot be assigned: {error}"))),
    }
}
