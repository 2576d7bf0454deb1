//! Tenants that write without a pause, and what became of each sample.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

use super::{Cluster, Doors};
use crate::client::{Answer, Client};
use crate::samples::SampleMaker;
use crate::server::token;
use crate::wait;

/// The metric that loads write. A sample's value is its number among the tenant's samples.
pub const METRIC: &str = "load";

const DAY_MS: i64 = 86_400_000;

/// How tenants write.
#[derive(Clone)]
pub struct LoadOptions {
    /// How many tenants write at the same time, each in a thread of its own.
    pub tenants: u64,
    /// Whether requests have a key of their own and are repeated with it until they are acknowledged. Otherwise each is sent
    /// once, and what was not answered is unknown.
    pub keyed: bool,
    /// The most samples of a request.
    pub max_samples: usize,
    /// How long a request is repeated at most.
    pub patience: Duration,
    pub seed: u64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { tenants: 4, keyed: false, max_samples: 60, patience: wait::PATIENCE, seed: 20_150_517 }
    }
}

/// What became of one tenant's samples.
#[derive(Debug, Default)]
pub struct Written {
    pub tenant: String,
    /// Numbers of samples that were acknowledged, by request.
    pub acknowledged: Vec<Range<u64>>,
    /// Numbers of samples that may be stored or not, by request.
    pub unknown: Vec<Range<u64>>,
    /// Requests that were answered with 503, repeats included.
    pub refused: u64,
    /// The receipt that came last.
    pub receipt: Option<String>,
}

/// A running load.
pub struct Load {
    stop: Arc<AtomicBool>,
    rest: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Written>>,
}

impl Load {
    /// Begins to write to the cluster's gateways.
    pub fn start(cluster: &Cluster, options: &LoadOptions) -> Self {
        Self::start_at(&cluster.doors(), options)
    }

    /// Begins to write to whatever listens at these doors.
    pub fn start_at(doors: &Doors, options: &LoadOptions) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (refused, rest) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let spawn = |number| {
            let tenant = format!("tenant-{number}");
            let writing = TenantLoad {
                token: token(&tenant, "write"),
                doors: Arc::clone(doors),
                stop: Arc::clone(&stop),
                rest: Arc::clone(&rest),
                acknowledged: Arc::clone(&acknowledged),
                refused: Arc::clone(&refused),
                options: options.clone(),
                written: Written { tenant, ..Written::default() },
                random: StdRng::seed_from_u64(options.seed ^ (number << 32)),
            };
            std::thread::spawn(move || writing.run())
        };
        let threads = (0..options.tenants).map(spawn).collect();
        Self { stop, rest, acknowledged, refused, threads }
    }

    /// How many samples were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// How many requests were answered with 503 so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Waits until so many more samples were acknowledged.
    pub fn wait_more(&self, samples: u64) {
        let wanted = self.acknowledged() + samples;
        wait::until("the load goes on", || {
            assert!(self.threads.iter().all(|thread| !thread.is_finished()), "a tenant stopped writing");
            (self.acknowledged() >= wanted).then_some(())
        });
    }

    /// Sends no more requests until [`go_on`](Self::go_on).
    pub fn rest(&self) {
        self.rest.store(true, Ordering::Relaxed);
    }

    /// Sends requests again.
    pub fn go_on(&self) {
        self.rest.store(false, Ordering::Relaxed);
    }

    /// Ends the load; says what became of each sample.
    pub fn finish(self) -> Vec<Written> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().expect("a tenant's load")).collect()
    }
}

/// One tenant that writes.
struct TenantLoad {
    token: String,
    doors: Doors,
    stop: Arc<AtomicBool>,
    rest: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    options: LoadOptions,
    written: Written,
    random: StdRng,
}

/// What became of one attempt.
enum Fate {
    Acknowledged(String),
    Refused,
    Unknown,
}

impl TenantLoad {
    fn run(mut self) -> Written {
        let mut maker = SampleMaker::new(self.options.seed);
        while !self.stop.load(Ordering::Relaxed) {
            if self.rest.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            let (mut body, numbers) = maker.body(METRIC, self.random.random_range(1..=self.options.max_samples));
            if self.random.random_bool(0.2) {
                spread_over_days(&mut body);
            }
            let key = self.options.keyed.then(|| format!("request-{}", numbers.start));
            match self.write(key.as_deref(), &body) {
                Fate::Acknowledged(receipt) => {
                    self.acknowledged.fetch_add(numbers.end - numbers.start, Ordering::Relaxed);
                    self.written.acknowledged.push(numbers);
                    self.written.receipt = Some(receipt);
                }
                // Nothing of it may be there: a number that was never acknowledged is not looked for, but found.
                Fate::Refused => {}
                Fate::Unknown => self.written.unknown.push(numbers),
            }
        }
        self.written
    }

    /// Sends a request once, or with a key until it is acknowledged.
    fn write(&mut self, key: Option<&str>, body: &Value) -> Fate {
        let began = Instant::now();
        loop {
            let fate = self.attempt(key, body);
            if key.is_none() || matches!(fate, Fate::Acknowledged(_)) {
                return fate;
            }
            let patience = self.options.patience;
            assert!(began.elapsed() < patience, "a request was repeated for {patience:?} in vain");
            // A client's pause, shorter than a polite one.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn attempt(&mut self, key: Option<&str>, body: &Value) -> Fate {
        let door = {
            let doors = self.doors.lock().unwrap();
            if doors.is_empty() {
                return Fate::Refused;
            }
            doors[self.random.random_range(0..doors.len())].clone()
        };
        let headers: Vec<_> = key.iter().map(|key| ("Idempotency-Key", *key)).collect();
        match Client::new(&door, &self.token).post_json("/api/v1/write", &headers, body) {
            Ok(answer) => self.judge(&answer),
            Err(_) => Fate::Unknown,
        }
    }

    fn judge(&mut self, answer: &Answer) -> Fate {
        let json = answer.json();
        if answer.status == 202 {
            assert_eq!(json["rejected"], 0, "{json}");
            return Fate::Acknowledged(json["receipt"].as_str().expect("a receipt").to_owned());
        }
        assert_eq!(answer.status, 503, "{json}");
        assert!(answer.headers.contains_key("retry-after"), "503 without Retry-After: {json}");
        self.written.refused += 1;
        self.refused.fetch_add(1, Ordering::Relaxed);
        if json["code"] == "queue_outcome_unknown" { Fate::Unknown } else { Fate::Refused }
    }
}

/// Moves some samples back by days, so that the batch has slices.
fn spread_over_days(body: &mut Value) {
    for (index, sample) in body["metrics"].as_array_mut().expect("samples").iter_mut().enumerate() {
        let timestamp = sample["timestamp"].as_i64().expect("a time");
        sample["timestamp"] = (timestamp - DAY_MS * (index as i64 % 3)).into();
    }
}
