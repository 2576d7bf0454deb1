//! Comparing an embedded queue with a store after each of the faults that the comparison is for. The faults are made in the
//! database's own files, behind the store's back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod tampering;
mod world;

use luminate_model::{Offset, RetentionRules};
use luminate_queue::RecordHistory as _;
use luminate_writer::reconcile::{ReconcileReport, ReconcileRequest};
use tampering::Tampering;
use world::{ALL, BATCH, DAY, NOW, OF_RECORD, RECORDS, World, rules, tenant};

/// Missing, doubled, foreign, mended.
fn found(report: &ReconcileReport) -> (u64, u64, u64, u64) {
    let ReconcileReport { missing, doubled, foreign, mended, .. } = *report;
    assert_eq!(report.clean, (missing - mended, doubled, foreign) == (0, 0, 0));
    (missing, doubled, foreign, mended)
}

/// First and next offset of every fault.
fn places(report: &ReconcileReport) -> Vec<(u64, u64)> {
    report.sources.iter().flat_map(|source| &source.batches).map(|fault| (fault.first, fault.next)).collect()
}

const MEND: ReconcileRequest = ReconcileRequest { source: None, from: None, to: None, mend: true };

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_once_is_clean_before_and_after_it_is_merged() {
    let world = World::new().await;
    for _ in 0..2 {
        let report = world.compare(&MEND).await;
        assert_eq!((found(&report), report.expected), ((0, 0, 0, 0), ALL), "{report:?}");
        assert_eq!(report.sources.iter().map(|source| source.records).sum::<u64>(), RECORDS);
        world.merge_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lost_row_is_told_by_its_record_and_mended_exactly_once() {
    let world = World::new().await;
    let lost = Offset(BATCH + 1);
    let block = world.block_of(lost).await;
    let without = world.scratch(&world.batch(Offset(BATCH), |offset, row| offset == lost && row == 3)).await;
    Tampering::open(&world.store()).replace(block, &Tampering::open(&without.store()));
    let report = world.compare(&ReconcileRequest::default()).await;
    assert_eq!((found(&report), places(&report)), ((1, 0, 0, 0), vec![(lost.0, lost.0 + 1)]), "{report:?}");
    let mended = world.compare(&MEND).await;
    assert_eq!((found(&mended), mended.clean), ((1, 0, 0, 1), true), "{mended:?}");
    assert_eq!((found(&world.compare(&MEND).await), world.rows().await), ((0, 0, 0, 0), (ALL, ALL)));
    world.merge_all().await;
    assert_eq!((found(&world.compare(&MEND).await), world.rows().await), ((0, 0, 0, 0), (ALL, ALL)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_block_is_told_and_mended_exactly_once() {
    let world = World::new().await;
    let block = world.block_of(Offset(BATCH)).await;
    Tampering::open(&world.store()).lose(block);
    let report = world.compare(&MEND).await;
    let whole = BATCH * OF_RECORD;
    assert_eq!((found(&report), places(&report)), ((whole, 0, 0, whole), vec![(BATCH, 2 * BATCH)]), "{report:?}");
    assert_eq!((found(&world.compare(&MEND).await), world.rows().await), ((0, 0, 0, 0), (ALL, ALL)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubled_block_is_told_and_left_alone_wherever_it_says_it_came_from() {
    for first in [BATCH, 0, 2 * BATCH, 1000] {
        let world = World::new().await;
        let block = world.block_of(Offset(BATCH)).await;
        Tampering::open(&world.store()).double(block, first..first + BATCH);
        let report = world.compare(&MEND).await;
        let whole = BATCH * OF_RECORD;
        assert_eq!((found(&report), places(&report)), ((0, whole, 0, 0), vec![(first, first + BATCH)]), "{report:?}");
        assert_eq!(world.rows().await, (ALL + whole, ALL));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_foreign_row_is_told_and_left_alone() {
    for first in [BATCH, 1000] {
        let world = World::new().await;
        let foreign = world.scratch(&world.foreign_row(Offset(first))).await;
        Tampering::open(&world.store()).add(&Tampering::open(&foreign.store()));
        let report = world.compare(&MEND).await;
        assert_eq!((found(&report), places(&report)), ((0, 0, 1, 0), vec![(first, first + 1)]), "{report:?}");
        assert_eq!(world.rows().await, (ALL + 1, ALL + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_samples_whose_records_are_gone_a_loss_is_still_seen() {
    let mut world = World::new().await;
    // The queue gives back what is committed; what follows is merged with what was before.
    world.forget_records().await;
    world.add_batch(|_, row| row == 2).await;
    world.merge_all().await;
    let report = world.compare(&MEND).await;
    assert_eq!(report.sources.iter().map(|source| source.records).sum::<u64>(), BATCH);
    assert_eq!((found(&report), report.expected), ((BATCH, 0, 0, BATCH), BATCH * OF_RECORD), "{report:?}");
    assert_eq!(found(&world.compare(&MEND).await), (0, 0, 0, 0));
    assert_eq!(world.rows().await, (ALL + BATCH * OF_RECORD, ALL + BATCH * OF_RECORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_time_and_one_source_are_compared_alone() {
    let world = World::new().await;
    let block = world.block_of(Offset(2 * BATCH)).await;
    Tampering::open(&world.store()).lose(block);
    let (before, after) = (world.appended(Offset(0)), world.appended(Offset(2 * BATCH)));
    let request = ReconcileRequest { to: Some(after), ..ReconcileRequest::default() };
    assert_eq!(found(&world.compare(&request).await), (0, 0, 0, 0));
    let request = ReconcileRequest { from: Some(before), ..ReconcileRequest::default() };
    assert_eq!(found(&world.compare(&request).await), (BATCH * OF_RECORD, 0, 0, 0));
    let request = ReconcileRequest { from: Some(after), ..ReconcileRequest::default() };
    let report = world.compare(&request).await;
    assert_eq!((found(&report), report.expected), ((BATCH * OF_RECORD, 0, 0, 0), BATCH * OF_RECORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_and_expired_samples_are_expected_by_neither_side() {
    let world = World::new().await;
    world.erase(&tenant(1)).await;
    let report = world.compare(&MEND).await;
    assert_eq!((found(&report), report.expected), ((0, 0, 0, 0), ALL / 2), "{report:?}");
    let tomorrow = World::at(RetentionRules { default_days: 1, ..rules() }, NOW + DAY + DAY / 2).await;
    let report = tomorrow.compare(&MEND).await;
    // Of the samples of two days one day's are kept, and the store has all of both.
    assert_eq!((found(&report), report.expected), ((0, 0, 0, 0), ALL / 2), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_and_one_without_data_are_refused() {
    let world = World::new().await;
    let running = world.open_store();
    let refused = world.open_at_rest().err().unwrap().to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
    drop(running);
    let elsewhere = tempfile::tempdir().unwrap();
    let refused = world::open_at_rest(&elsewhere.path().join("store"), rules(), NOW).err().unwrap().to_string();
    assert!(refused.contains("there is no database"), "{refused}");
    assert!(!elsewhere.path().join("store").exists(), "looking makes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_told_for_times() {
    let world = World::new().await;
    let queue = world.open_queue();
    let source = world.source();
    for (time, offset) in [(i64::MIN, 0), (world.appended(Offset(5)), 5), (world.appended(Offset(5)) + 1, 6)] {
        assert_eq!(queue.offset_at(source, time).await.unwrap(), Offset(offset));
    }
    assert_eq!(queue.offset_at(source, i64::MAX).await.unwrap(), Offset(RECORDS));
}
