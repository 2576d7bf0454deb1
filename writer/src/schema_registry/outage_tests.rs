//! A writer whose schema registry is away for a while.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use luminate_queue::{DeadLetterFilter, DeadLetters as _};
use luminate_runtime::lifecycle::health::DependencyStatus;
use luminate_schemas::{PublishedSchema, confluent, sample_rows, single_object};

use super::{Lookup, NotedSchemas, SchemaRegistry, SchemaRegistryError};
use crate::config::WriterConfig;
use crate::pipeline_tests::{Running, TestSink, one_partition, publish, record};
use crate::test_records::{columns, consumed, tenant};

/// Answers as long as it is there.
struct Registry {
    is_there: AtomicBool,
}

#[async_trait]
impl SchemaRegistry for Registry {
    async fn look_up(&self, id: u32) -> Result<Lookup, SchemaRegistryError> {
        let is_there = self.is_there.load(Ordering::Relaxed);
        let away = SchemaRegistryError { id, reason: "away".to_owned() };
        if is_there { Ok(Ok(PublishedSchema::SampleRowsV1)) } else { Err(away) }
    }
}

/// Samples in the Confluent wire format, under the number 9.
fn registered(timestamps: &[i64]) -> Vec<u8> {
    registered_as(9, timestamps)
}

fn registered_as(id: u32, timestamps: &[i64]) -> Vec<u8> {
    let value = sample_rows::encode(None, &columns(timestamps));
    [&confluent::header(id)[..], &value[single_object::HEADER_BYTES..]].concat()
}

#[tokio::test(start_paused = true)]
async fn the_partition_waits_for_its_registry_and_loses_and_doubles_nothing() {
    let registry = Arc::new(Registry { is_there: AtomicBool::new(false) });
    let running =
        Running::start_with(one_partition(), TestSink::new(), WriterConfig::default(), Some(registry.clone()));
    publish(&running.queue, vec![record(&[1])]).await;
    // The second of its samples is of the far future.
    running.queue.append_raw(0, consumed(0, "acme/0", registered(&[2, 1_800_000_000_000, 3]))).unwrap();
    publish(&running.queue, vec![record(&[4])]).await;

    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(running.sink.timestamps("acme"), [1], "what came before does not wait");
    let letters = running.queue.list(&DeadLetterFilter::default(), None, 10).await.unwrap().letters;
    assert_eq!(letters, [], "an outage rejects nothing");
    let health = || running.lifecycle.health().dependencies().remove("schema_registry").unwrap();
    let waits = "does not answer; partitions wait for it, the log says why";
    assert_eq!(health().detail.as_deref(), Some(waits));
    let up = || running.lifecycle.metrics().dependency_up.with(["schema_registry"]).get();
    assert_eq!(up(), 0.0);

    registry.is_there.store(true, Ordering::Relaxed);
    running.drained().await;
    assert_eq!(running.sink.timestamps("acme"), [1, 2, 3, 4]);
    assert_eq!((health().status, up()), (DependencyStatus::Up, 1.0));
    let letters = running.queue.list(&DeadLetterFilter::default(), None, 10).await.unwrap().letters;
    let told: Vec<_> = letters.iter().map(|letter| (letter.id.index, letter.code.as_str())).collect();
    assert_eq!(told, [(Some(1), "timestamp_too_new")]);

    // The dead letter holds that sample alone. Replayed a hundred million seconds later it is valid, and no other is doubled.
    running.queue.set_time(1_800_000_000_000);
    assert!(running.queue.replay(letters[0].id, 1_800_000_000_000).await.unwrap().is_some());
    running.drained().await;
    assert_eq!(running.sink.timestamps("acme"), [1, 2, 3, 4, 1_800_000_000_000]);
    assert_eq!(letters[0].tenant, Some(tenant("acme")));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_nobody_waits_for_counts_as_up() {
    let registry = Arc::new(Registry { is_there: AtomicBool::new(false) });
    let running = Running::start_with(one_partition(), TestSink::new(), WriterConfig::default(), Some(registry));
    let status = || running.lifecycle.health().dependencies().remove("schema_registry").unwrap().status;
    assert_eq!(status(), DependencyStatus::Up, "it was never asked");
    running.queue.append_raw(0, consumed(0, "acme/0", registered(&[1]))).unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(status(), DependencyStatus::Down);
    running.queue.revoke(0).await;
    assert_eq!(status(), DependencyStatus::Up, "another writer waits now");
}

/// What an intent can note of them is bounded.
#[tokio::test(start_paused = true)]
async fn a_batch_is_full_with_so_many_schemas() {
    let registry = Arc::new(Registry { is_there: AtomicBool::new(true) });
    let running = Running::start_with(one_partition(), TestSink::new(), WriterConfig::default(), Some(registry));
    let records = 2 * NotedSchemas::MAX as u32 + 1;
    for id in 0..records {
        let value = registered_as(id, &[i64::from(id)]);
        running.queue.append_raw(0, consumed(id.into(), "acme/0", value)).unwrap();
    }
    running.drained().await;
    assert_eq!(running.sink.timestamps("acme").len(), records as usize);
    let sizes: Vec<u64> = running.sink.ranges().iter().map(|(first, next)| next.0 - first.0).collect();
    assert_eq!(sizes, [64, 64, 1]);
}
