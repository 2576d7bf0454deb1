//! Bringing back what is missing.
//!
//! A store settles whole slices: it counts a batch's rows by slice, and stores the slices of which it has none. So a segment is
//! taken apart into batches of which each slice is stored whole or not at all.

use std::collections::BTreeMap;

use luminate_model::{Offset, Source};
use luminate_storage::{Batch, BatchRecord, Permit, SampleSink, StoreTarget};

use super::comparison::{Presence, SegmentFindings};
use super::segment::{ExpectedRecord, Segment};

/// Stores what is missing of a segment; returns how many samples, or why it does not.
///
/// Whatever lies before the committed offset is no writer's any more, so that the permission to store has no end.
pub(super) async fn mend(
    sink: &dyn SampleSink,
    source: Source,
    segment: &Segment,
    findings: &SegmentFindings,
    max_samples: usize,
) -> Result<u64, String> {
    let Some(intents) = sink.intents() else {
        return Err("this store takes no batch a second time: restore it from a backup".to_owned());
    };
    if segment.shards.len() > 1 {
        let shards = Vec::from_iter(segment.shards.iter().map(String::as_str)).join(", ");
        return Err(format!("its rows lie on several shards ({shards}): remove those of all but one, then mend again"));
    }
    let batches = missing_batches(source, segment, findings, max_samples)?;
    let today = intents.target(&source).await.map_err(|error| error.to_string())?;
    // What is stored of a batch is counted where it lies, whichever shard is the source's today.
    let shard = segment.shards.first().cloned().unwrap_or_else(|| today.shard.clone());
    let target = StoreTarget { shard, ..today };
    let mut mended = 0;
    for batch in batches {
        let settled = intents.settle(&batch, &target, Permit::unlimited()).await;
        mended += settled.map_err(|error| error.to_string())?.samples;
    }
    Ok(mended)
}

/// The batches to settle: the stored one, as far as its rows reach, if slices of it are missing; then those that are missing
/// whole, in batches of about `max_samples`.
fn missing_batches(
    source: Source,
    segment: &Segment,
    findings: &SegmentFindings,
    max_samples: usize,
) -> Result<Vec<Batch>, String> {
    let is_stored = |days: &BTreeMap<i64, Presence>| days.values().any(|presence| presence.stored > 0);
    let stored = findings.records.iter().rposition(is_stored).map_or(0, |last| last + 1);
    let mut batches = Vec::new();
    let mut first = segment.first;
    let batch = |first: Offset, next: Offset, records: Vec<BatchRecord>| Batch {
        source,
        first,
        next,
        records,
        idempotency: Vec::new(),
        forget_idempotency_before: i64::MIN,
    };
    let (in_batch, after) = segment.records.split_at(stored);
    if let Some(last) = in_batch.last() {
        let next = last.record.offset.next();
        if has_missing_slices(&findings.records[..stored], in_batch)? {
            let kept = in_batch.iter().zip(&findings.records);
            let kept = kept.filter(|(expected, days)| !expected.is_doubtful || is_stored(days));
            batches.push(batch(first, next, kept.map(|(expected, _)| expected.record.clone()).collect()));
        }
        first = next;
    }
    let mut records = Vec::new();
    let mut samples = 0;
    for expected in after.iter().filter(|expected| !expected.is_doubtful) {
        let next = expected.record.offset.next();
        samples += expected.record.samples.len();
        records.push(expected.record.clone());
        if samples >= max_samples {
            batches.push(batch(first, next, std::mem::take(&mut records)));
            (first, samples) = (next, 0);
        }
    }
    if !records.is_empty() {
        batches.push(batch(first, segment.next, records));
    }
    Ok(batches)
}

/// Whether slices of a stored batch are missing; one that is there in part cannot be settled.
fn has_missing_slices(days: &[BTreeMap<i64, Presence>], records: &[ExpectedRecord]) -> Result<bool, String> {
    let mut slices = BTreeMap::<i64, Presence>::new();
    for (days, _) in days.iter().zip(records).filter(|(_, expected)| !expected.is_doubtful) {
        for (day, presence) in days {
            let slice = slices.entry(*day).or_default();
            slice.stored += presence.stored;
            slice.missing += presence.missing;
        }
    }
    if slices.values().any(|slice| slice.stored > 0 && slice.missing > 0) {
        return Err("a slice is there in part: delete its rows (source, batch and day), then mend again".to_owned());
    }
    Ok(slices.values().any(|slice| slice.missing > 0))
}
