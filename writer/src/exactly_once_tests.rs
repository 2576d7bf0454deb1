//! Lives of a writer, made up: records arrive, calls fail, answers are lost, the process is stopped or killed. In the end
//! every record is stored once, or is a dead letter once, or is a repeat.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use luminate_model::Offset;
use luminate_queue::memory::{MemoryQueue, MemoryQueueConfig};
use luminate_queue::{DeadLetterFilter, DeadLetters as _};
use luminate_storage::SampleSink as _;
use proptest::prelude::*;

use crate::config::WriterConfig;
use crate::pipeline_tests::{Running, TestSink, keyed, publish, record};
use crate::test_records::{consumed, tenant};

#[derive(Debug, Clone)]
enum Step {
    /// A record with a sample of its own.
    Publish,
    /// A record with a key: the first with it has a sample of its own, later ones repeat it.
    PublishKeyed(u8),
    /// A record that cannot be decoded.
    PublishBroken,
    RefuseWrites(u32),
    LoseAnswers(u32),
    FailDeadLetters(u32),
    FailCommits(u32),
    FailPolls(u32),
    Wait(u64),
    TakeAwayAndGiveBack,
}

#[derive(Debug, Clone)]
struct Life {
    steps: Vec<Step>,
    /// Whether it is stopped in order; else it is killed.
    is_stopped: bool,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Publish),
        4 => (0..6_u8).prop_map(Step::PublishKeyed),
        2 => Just(Step::PublishBroken),
        1 => (1..4_u32).prop_map(Step::RefuseWrites),
        1 => (1..3_u32).prop_map(Step::LoseAnswers),
        1 => (1..3_u32).prop_map(Step::FailDeadLetters),
        1 => (1..3_u32).prop_map(Step::FailCommits),
        1 => (1..3_u32).prop_map(Step::FailPolls),
        5 => (0..3000_u64).prop_map(Step::Wait),
        1 => Just(Step::TakeAwayAndGiveBack),
    ]
}

fn life() -> impl Strategy<Value = Life> {
    (proptest::collection::vec(step(), 0..25), any::<bool>()).prop_map(|(steps, is_stopped)| Life { steps, is_stopped })
}

/// What must have become of the records in the end.
#[derive(Default)]
struct Expected {
    published: i64,
    stored: BTreeSet<i64>,
    dead: usize,
    keys: BTreeSet<u8>,
}

impl Expected {
    fn next_timestamp(&mut self) -> i64 {
        self.published += 1;
        self.published
    }

    async fn take(&mut self, step: &Step, running: &Running) {
        let Running { queue, sink, .. } = running;
        match *step {
            Step::Publish => {
                let timestamp = self.next_timestamp();
                self.stored.insert(timestamp);
                publish(queue, vec![record(&[timestamp])]).await;
            }
            Step::PublishKeyed(key) => {
                // The sample is a function of the key, as it is of a repeated request.
                let timestamp = 1_000_000 + i64::from(key);
                if self.keys.insert(key) {
                    self.stored.insert(timestamp);
                }
                publish(queue, vec![keyed(&[timestamp], key.into(), key.into())]).await;
            }
            Step::PublishBroken => {
                self.dead += 1;
                queue.append_raw(0, consumed(0, "acme/0", "broken")).unwrap();
            }
            Step::RefuseWrites(times) => sink.refuse.store(times, Ordering::Relaxed),
            Step::LoseAnswers(times) => sink.lose_answer.store(times, Ordering::Relaxed),
            Step::FailDeadLetters(times) => queue.fail_dead_letters(times),
            Step::FailCommits(times) => queue.fail_commits(times),
            Step::FailPolls(times) => queue.fail_polls(times),
            Step::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Step::TakeAwayAndGiveBack => {
                queue.revoke(0).await;
                queue.give(0);
            }
        }
    }
}

/// Lives one life in a runtime of its own; dropping that kills every task where it stands.
fn live(life: &Life, queue: MemoryQueue, sink: Arc<TestSink>, expected: &mut Expected) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let running = Running::start(queue, sink, config());
        for step in &life.steps {
            expected.take(step, &running).await;
        }
        if life.is_stopped {
            running.stop().await;
        }
    });
}

/// Small batches, so that there are many.
fn config() -> WriterConfig {
    let mut config = WriterConfig::default();
    config.batch.max_samples = 3;
    config
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_record_has_one_fate(lives in proptest::collection::vec(life(), 1..5)) {
        let mut queue = MemoryQueue::new(MemoryQueueConfig { partitions: 1, ..MemoryQueueConfig::default() });
        let sink = TestSink::new();
        let mut expected = Expected::default();
        for life in &lives {
            live(life, queue.clone(), sink.clone(), &mut expected);
            queue = queue.reopen();
        }
        let last = Life { steps: vec![Step::Wait(120_000)], is_stopped: true };
        live(&last, queue.clone(), sink.clone(), &mut expected);

        let mut stored: Vec<_> = sink.store.samples(&tenant("acme")).iter().map(|sample| sample.timestamp).collect();
        stored.sort_unstable();
        prop_assert_eq!(stored, expected.stored.iter().copied().collect::<Vec<_>>());

        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let letters = runtime.block_on(queue.list(&DeadLetterFilter::default(), None, 1000)).unwrap().letters;
        prop_assert_eq!(letters.len(), expected.dead);
        let known = runtime.block_on(sink.resume(&queue.source(0))).unwrap();
        let committed = queue.committed(0).next.unwrap_or_default();
        prop_assert!(committed <= known.next.unwrap_or_default(), "what is committed is stored");
        prop_assert_eq!(queue.bytes(), 0);
        let mut next = Offset(0);
        for (first, after) in sink.ranges() {
            prop_assert_eq!(first, next, "batches are contiguous");
            next = after;
        }
    }
}
