//! Against the store in memory, whose batches are single records.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use luminate_model::{Incarnation, Offset, Source};
use luminate_queue::{
    Committed, ConsumedRecord, HistoryReader, IdempotencyHeaders, QueueError, RecordHistory, SourceHistory,
};
use luminate_storage::memory::MemoryStore;
use luminate_storage::{NotedErasure, SampleSink as _};

use super::{ComparedStore, ReconcileParts, ReconcileReport, ReconcileRequest, reconcile};
use crate::batch::{BatchLimits, OpenBatch};
use crate::config::WriterConfig;
use crate::decode::RecordDecoder;
use crate::idempotency::IdempotencyWindow;
use crate::judge::judge;
use crate::schema_registry::RegisteredSchemas;
use crate::test_records::{columns, consumed, tenant};

const SOURCE: Source = Source { incarnation: Incarnation([3; 16]), partition: 0 };
const SAMPLES: u64 = 3;

/// Records as a topic keeps them.
struct Topic {
    records: Vec<ConsumedRecord>,
    begin: u64,
}

struct Reader(Mutex<std::vec::IntoIter<ConsumedRecord>>);

#[async_trait]
impl HistoryReader for Reader {
    async fn next(&mut self) -> Result<Option<ConsumedRecord>, QueueError> {
        Ok(self.0.lock().unwrap().next())
    }
}

#[async_trait]
impl RecordHistory for Topic {
    async fn partitions(&self) -> Result<Vec<SourceHistory>, QueueError> {
        let end = Offset(self.records.len() as u64);
        let committed = Committed { next: Some(end), metadata: String::new() };
        Ok(vec![SourceHistory { source: SOURCE, owner: None, begin: Offset(self.begin), end, committed }])
    }

    async fn offset_at(&self, _source: Source, time: i64) -> Result<Offset, QueueError> {
        let at = self.records.partition_point(|record| record.append_time < time) as u64;
        Ok(Offset(at.max(self.begin)))
    }

    async fn read(&self, _source: Source, first: Offset, next: Offset) -> Result<Box<dyn HistoryReader>, QueueError> {
        let records = self.records.iter().filter(|record| first <= record.offset && record.offset < next);
        Ok(Box::new(Reader(Mutex::new(records.cloned().collect::<Vec<_>>().into_iter()))))
    }
}

/// A record of three samples that no other has, appended a minute after the one before.
fn record(offset: u64, body: Option<u128>) -> ConsumedRecord {
    let base = offset as i64 * 10;
    let mut record = consumed(offset, "acme/0", luminate_schemas::encode(&columns(&[base, base + 1, base + 2])));
    record.append_time += offset as i64 * 60_000;
    if let Some(body) = body {
        record.headers = IdempotencyHeaders { key: body, body, part: 0, parts: 1 }.to_headers();
    }
    record
}

/// Ten records, of which the fourth repeats the third, and a store that has what a writer makes of them.
async fn stored() -> (Topic, Arc<MemoryStore>) {
    let mut records: Vec<_> = (0..10).map(|offset| record(offset, None)).collect();
    records[2] = record(2, Some(7));
    records[3] = ConsumedRecord { value: records[2].value.clone(), ..record(3, Some(7)) };
    let store = Arc::new(MemoryStore::new());
    let limits = BatchLimits { samples: 1000, bytes: 1 << 20, dead_letter_bytes: 10 };
    let mut batch = OpenBatch::new(SOURCE, limits, None);
    let mut window = IdempotencyWindow::new(100, Vec::new());
    let mut decoder = RecordDecoder::new(None, Arc::new(RegisteredSchemas::new(None)));
    for record in &records {
        batch.add(record, judge(&mut window, &mut decoder, record).unwrap());
    }
    store.write(batch.close().unwrap().batch).await.unwrap();
    (Topic { records, begin: 0 }, store)
}

fn parts(topic: Topic, store: &Arc<MemoryStore>) -> ReconcileParts {
    ReconcileParts {
        history: Arc::new(topic),
        store: ComparedStore::OfBatches { provenance: Arc::clone(store) as _, sink: Arc::clone(store) as _ },
        schemas: Arc::new(RegisteredSchemas::new(None)),
        clock: Arc::new(|| 1_700_000_000_000),
        config: WriterConfig::default(),
    }
}

async fn compare(topic: Topic, store: &Arc<MemoryStore>, request: ReconcileRequest) -> ReconcileReport {
    reconcile(&parts(topic, store), &request).await.unwrap()
}

/// Missing, doubled, foreign.
fn faults(report: &ReconcileReport) -> (u64, u64, u64) {
    assert_eq!(report.clean, (report.missing, report.doubled, report.foreign) == (0, 0, 0));
    (report.missing, report.doubled, report.foreign)
}

#[tokio::test]
async fn a_store_that_has_what_it_should_is_clean() {
    let (topic, store) = stored().await;
    let report = compare(topic, &store, ReconcileRequest::default()).await;
    assert_eq!((faults(&report), report.expected, report.sources[0].records), ((0, 0, 0), 9 * SAMPLES, 10));
}

#[tokio::test]
async fn lost_records_are_missing_and_named_by_their_segment() {
    let (topic, store) = stored().await;
    assert_eq!(store.lose(SOURCE, Offset(5)) + store.lose(SOURCE, Offset(6)), 6);
    let report = compare(topic, &store, ReconcileRequest { mend: true, ..ReconcileRequest::default() }).await;
    assert_eq!((faults(&report), report.mended), ((2 * SAMPLES, 0, 0), 0));
    let fault = &report.sources[0].batches[0];
    assert_eq!((fault.first, fault.next), (4, 7));
    assert!(fault.advice.as_ref().unwrap().contains("no batch a second time"), "memory stores by offset alone");
}

#[tokio::test]
async fn a_double_is_told_under_whatever_batch_it_lies() {
    for under in [5, 4, 0, 7, 9, 10, 99] {
        let (topic, store) = stored().await;
        store.repeat(SOURCE, Offset(5), Offset(under));
        let report = compare(topic, &store, ReconcileRequest::default()).await;
        assert_eq!(faults(&report), (0, SAMPLES, 0), "{under}");
        let told: Vec<_> = report.sources[0].batches.iter().map(|batch| (batch.first, batch.doubled)).collect();
        assert_eq!(told, [(under, SAMPLES)], "{under}");
        assert_eq!(report.sources[0].batches[0].slices.iter().map(|slice| slice.doubled).sum::<u64>(), SAMPLES);
    }
}

#[tokio::test]
async fn what_lies_under_a_later_batch_is_not_stored_a_second_time() {
    let (topic, store) = stored().await;
    store.repeat(SOURCE, Offset(1), Offset(8));
    store.lose(SOURCE, Offset(1));
    let report = compare(topic, &store, ReconcileRequest { mend: true, ..ReconcileRequest::default() }).await;
    assert_eq!((faults(&report), report.mended), ((SAMPLES, SAMPLES, 0), 0));
    let advice = report.sources[0].batches[0].advice.as_ref().unwrap();
    assert!(advice.contains("under another batch"), "{advice}");
}

#[tokio::test]
async fn nothing_is_mended_beside_an_erasure() {
    let (topic, store) = stored().await;
    let erasure = NotedErasure { tenant: tenant("other"), up_to: vec![(SOURCE, Offset(1))] };
    store.note_erasure(&erasure).await.unwrap();
    let parts = parts(topic, &store);
    let request = ReconcileRequest { mend: true, ..ReconcileRequest::default() };
    let refused = reconcile(&parts, &request).await.unwrap_err().to_string();
    assert!(refused.contains("other") && refused.contains("being erased"), "{refused}");
    assert!(reconcile(&parts, &ReconcileRequest::default()).await.unwrap().clean);
    store.finish_erasure(&erasure).await.unwrap();
    assert!(reconcile(&parts, &request).await.unwrap().clean);
}

#[tokio::test]
async fn rows_that_no_record_has_are_foreign_within_the_topic_and_beyond_it() {
    for under in [3, 4, 10, 99] {
        let (mut topic, store) = stored().await;
        store.repeat(SOURCE, Offset(5), Offset(under));
        // What was stored of it is no record's any more.
        store.lose(SOURCE, Offset(5));
        topic.records[5] = ConsumedRecord { value: luminate_schemas::encode(&columns(&[])).into(), ..record(5, None) };
        let report = compare(topic, &store, ReconcileRequest::default()).await;
        assert_eq!(faults(&report), (0, 0, SAMPLES), "{under}");
    }
}

#[tokio::test]
async fn a_range_of_time_is_compared_alone() {
    let (topic, store) = stored().await;
    store.lose(SOURCE, Offset(2));
    store.lose(SOURCE, Offset(8));
    let time = |offset: usize| Some(topic.records[offset].append_time);
    let request = ReconcileRequest { from: time(4), to: time(6), ..ReconcileRequest::default() };
    let report = compare(topic, &store, request).await;
    assert_eq!((faults(&report), report.sources[0].from, report.sources[0].to), ((0, 0, 0), 4, 6));
}

#[tokio::test]
async fn erased_samples_are_expected_by_neither_side() {
    let (topic, store) = stored().await;
    store.erase(&tenant("acme"), &[(SOURCE, Offset(6))]).await.unwrap();
    let report = compare(topic, &store, ReconcileRequest::default()).await;
    assert_eq!((faults(&report), report.expected), ((0, 0, 0), 4 * SAMPLES));
}

#[tokio::test]
async fn a_record_whose_first_is_gone_from_the_topic_is_not_judged() {
    let (mut topic, store) = stored().await;
    topic.begin = 3;
    topic.records[3].append_time += 1;
    let report = compare(topic, &store, ReconcileRequest::default()).await;
    // The record at 3 repeats the one at 2, which the topic has no more; comparing begins with the batch at 4 in any case.
    assert_eq!((faults(&report), report.sources[0].from), ((0, 0, 0), 4));
}

#[tokio::test]
async fn an_unknown_source_is_refused() {
    let (topic, store) = stored().await;
    let parts = parts(topic, &store);
    let other = Source { partition: 9, ..SOURCE };
    let request = ReconcileRequest { source: Some(other), ..ReconcileRequest::default() };
    assert!(reconcile(&parts, &request).await.unwrap_err().to_string().contains(&other.to_string()));
}
