//! How far every source is stored, by what the group has committed: a writer commits past a record only when it is stored.
//!
//! However many queries wait, one task asks: quickly while offsets move or somebody has just come, slower while nothing happens,
//! and not at all while nobody waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use luminate_model::{Offset, Receipt, Source};
use luminate_queue::QueueError;
use luminate_storage::{ReachError, StorageError, Watermarks};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::cluster::{KafkaCluster, Place};
use crate::error::blocking;
use crate::settings::REQUEST_TIMEOUT;
use crate::topics::TopicMap;

/// Time between two questions, at first and at most.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(320);

/// Whoever names an unknown source has the topics looked up at most this often.
const LOOK_UP_EVERY: Duration = Duration::from_secs(1);

/// The group's committed offsets as watermarks.
pub struct KafkaWatermarks {
    shared: Arc<Shared>,
    asking: JoinHandle<()>,
}

struct Shared {
    cluster: KafkaCluster,
    /// What was told last, of the sources that somebody waits for.
    committed: watch::Sender<HashMap<Source, Offset>>,
    /// How many wait for a source.
    wanted: Mutex<HashMap<Source, usize>>,
    waiting: AtomicUsize,
    somebody_came: Notify,
    looked_up: tokio::sync::Mutex<Option<Instant>>,
}

/// Somebody waits for these sources, until this is dropped.
struct Waiting<'a> {
    shared: &'a Shared,
    sources: Vec<Source>,
}

impl KafkaWatermarks {
    /// Asks for a cluster's committed offsets. Brokers may be away. Needs a runtime of tokio.
    #[must_use]
    pub fn new(cluster: &KafkaCluster) -> Self {
        let shared = Arc::new(Shared {
            cluster: cluster.clone(),
            committed: watch::Sender::new(HashMap::new()),
            wanted: Mutex::default(),
            waiting: AtomicUsize::new(0),
            somebody_came: Notify::new(),
            looked_up: tokio::sync::Mutex::default(),
        });
        let asking = tokio::spawn(ask_while_somebody_waits(Arc::clone(&shared)));
        Self { shared, asking }
    }
}

impl Drop for KafkaWatermarks {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

#[async_trait]
impl Watermarks for KafkaWatermarks {
    async fn watermark(&self) -> Result<Receipt, StorageError> {
        let cluster = self.shared.cluster.clone();
        let asked = blocking(move || {
            let topics = cluster.refresh_topics()?;
            let sources: Vec<Source> = topics.iter().flat_map(|topic| topic.sources()).collect();
            committed(&cluster, &topics, &sources)
        });
        let offsets = asked.await.map_err(|error| StorageError::Unavailable(error.to_string()))?;
        let mut receipt = Receipt::default();
        offsets.into_iter().for_each(|(source, next)| receipt.add(source, next));
        Ok(receipt)
    }

    async fn reach(&self, receipt: &Receipt) -> Result<(), ReachError> {
        if receipt.is_empty() {
            return Ok(());
        }
        self.shared.check_sources(receipt).await?;
        let mut told = self.shared.committed.subscribe();
        let _waiting = self.shared.wait_for(receipt);
        let passed = |told: &HashMap<Source, Offset>| {
            receipt.places().iter().all(|(source, next)| told.get(source).is_some_and(|known| known >= next))
        };
        told.wait_for(passed).await.map(|_| ()).map_err(|_| ReachError::Closed)
    }
}

impl Shared {
    /// Refuses a receipt that names a source which is not there, after a look whether it is new.
    async fn check_sources(&self, receipt: &Receipt) -> Result<(), ReachError> {
        loop {
            let topics = self.cluster.topics();
            let unknown = receipt.places().iter().find(|(source, _)| topics.of(*source).is_none());
            let Some((unknown, _)) = unknown else { return Ok(()) };
            let asked = Instant::now();
            let mut looked_up = self.looked_up.lock().await;
            if looked_up.is_some_and(|at| at > asked) {
                // Somebody else has looked while this waited its turn.
                drop(looked_up);
                if self.cluster.topics().of(*unknown).is_none() {
                    return Err(ReachError::OtherIncarnation(*unknown));
                }
                continue;
            }
            if let Some(at) = *looked_up {
                sleep((at + LOOK_UP_EVERY).saturating_duration_since(Instant::now())).await;
            }
            let cluster = self.cluster.clone();
            let result = blocking(move || cluster.refresh_topics()).await;
            *looked_up = Some(Instant::now());
            match result {
                Ok(topics) if topics.of(*unknown).is_none() => return Err(ReachError::OtherIncarnation(*unknown)),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "topics were not looked up; the receipt waits"),
            }
        }
    }

    fn wait_for(&self, receipt: &Receipt) -> Waiting<'_> {
        let sources: Vec<Source> = receipt.places().iter().map(|(source, _)| *source).collect();
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        sources.iter().for_each(|source| *wanted.entry(*source).or_default() += 1);
        drop(wanted);
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.somebody_came.notify_one();
        Waiting { shared: self, sources }
    }

    fn wanted(&self) -> Vec<Source> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Tells what is committed for the sources that somebody waits for; whether anything is new.
    async fn ask(&self) -> Result<bool, QueueError> {
        let (cluster, sources) = (self.cluster.clone(), self.wanted());
        let told = blocking(move || committed(&cluster, &cluster.topics(), &sources)).await?;
        let told: HashMap<Source, Offset> = told.into_iter().collect();
        Ok(self.committed.send_if_modified(|known| {
            let is_new = *known != told;
            *known = told;
            is_new
        }))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut wanted = self.shared.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        for source in &self.sources {
            if let Some(count) = wanted.get_mut(source) {
                *count -= 1;
                if *count == 0 {
                    wanted.remove(source);
                }
            }
        }
        self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn ask_while_somebody_waits(shared: Arc<Shared>) {
    let mut patience = SHORTEST;
    loop {
        if shared.waiting.load(Ordering::Acquire) == 0 {
            shared.somebody_came.notified().await;
            patience = SHORTEST;
            continue;
        }
        match shared.ask().await {
            Ok(true) => patience = SHORTEST,
            Ok(false) => patience = (patience * 2).min(LONGEST),
            Err(error) => {
                tracing::debug!(%error, "committed offsets are not told");
                patience = LONGEST;
            }
        }
        tokio::select! {
            () = sleep(patience) => {}
            () = shared.somebody_came.notified() => patience = SHORTEST,
        }
    }
}

/// What is committed for each source that is there; where nothing ever was, nothing is stored.
fn committed(
    cluster: &KafkaCluster,
    topics: &TopicMap,
    sources: &[Source],
) -> Result<Vec<(Source, Offset)>, QueueError> {
    let known: Vec<(Source, Place)> = sources
        .iter()
        .filter_map(|source| Some((*source, (topics.of(*source)?.name.clone(), source.partition))))
        .collect();
    let places: Vec<Place> = known.iter().map(|(_, place)| place.clone()).collect();
    let committed = cluster.committed(&places, REQUEST_TIMEOUT)?;
    let offset = |next: Option<Offset>| next.unwrap_or_default();
    Ok(known.into_iter().zip(committed).map(|((source, _), committed)| (source, offset(committed.next))).collect())
}
