//! A merge keeps every sample, in order, and leaves out exactly what its rules name.

use luminate_model::TenantId;
use luminate_model::time::DAY_MS;
use luminate_storage::StorageError;
use proptest::prelude::*;

use super::support::*;
use crate::block::index::Layout;
use crate::block::merge::{MergeReads, merge_with};
use crate::block::{BlockId, MergeInput, MergeOptions, MergeRules, SectionRule};

fn options(block_samples: u32) -> MergeOptions {
    MergeOptions { block_samples, ..MergeOptions::default() }
}

/// Samples of retention 7 are kept from a time on; those of one tenant are erased from blocks up to a number.
struct Rules {
    keep_from: i64,
    erased: TenantId,
    erased_up_to: BlockId,
}

impl MergeRules for Rules {
    fn section(&self, block: BlockId, tenant: &TenantId, _: &str, written_days: u16) -> SectionRule {
        if *tenant == self.erased && block <= self.erased_up_to {
            return SectionRule::Erase;
        }
        SectionRule::KeepFrom(if written_days == 7 { self.keep_from } else { i64::MIN })
    }
}

proptest! {
    #![proptest_config(crate::block::seeded_proptest())]

    #[test]
    fn merged_runs_hold_all_rows_in_order(
        batches in prop::collection::vec(arbitrary_rows(60), 1..6),
        block_samples in 1_u32..50,
    ) {
        let mut blocks = Blocks::default();
        let runs: Vec<_> = batches.iter().map(|rows| blocks.arrive(rows, block_samples, SMALL)).collect();
        let all = batches.concat();
        let (merged, report) = blocks.merge(&runs, &KeepAll, options(block_samples), SMALL);
        prop_assert_eq!((report.kept, report.expired, report.erased), (all.len() as u64, 0, 0));
        check_runs(&blocks, &merged, &all);
        // Merged blocks have no ids: merging them again computes them from the dimensions.
        let (again, _) = blocks.merge(&merged, &KeepAll, options(block_samples * 2), SMALL);
        check_runs(&blocks, &again, &all);
        prop_assert_eq!(again.len(), merged.len());
        // Together with another arrival, as happens all the time.
        let mut mixed = again;
        mixed.push(blocks.arrive(&batches[0], 20, SMALL));
        let (mixed, _) = blocks.merge(&mixed, &KeepAll, options(1_000), SMALL);
        check_runs(&blocks, &mixed, &[all, batches[0].clone()].concat());
    }

    #[test]
    fn rules_leave_out_what_they_name_and_count_it(
        old in arbitrary_rows(60),
        new in arbitrary_rows(60),
        keep_from in prop_oneof![Just(i64::MIN), Just(DAY_MS), -DAY_MS..3 * DAY_MS],
    ) {
        let mut blocks = Blocks::default();
        let runs = vec![blocks.arrive(&old, 20, SMALL), blocks.arrive(&new, 20, SMALL)];
        let erased_up_to = BlockId(runs[0].len() as u64).0.checked_sub(1).map(BlockId);
        // Without old blocks nothing is erased: then the rule names no block of this test.
        let erased = tenant(if erased_up_to.is_some() { "t2" } else { "nobody" });
        let rules = Rules { keep_from, erased, erased_up_to: erased_up_to.unwrap_or(BlockId(0)) };
        let (merged, report) = blocks.merge(&runs, &rules, options(25), SMALL);
        let expires = |row: &Row| row.days == 7 && row.timestamp < keep_from;
        let kept = old.iter().filter(|row| row.tenant != "t2").chain(&new).filter(|row| !expires(row));
        let kept: Vec<Row> = kept.cloned().collect();
        check_runs(&blocks, &merged, &kept);
        prop_assert_eq!(report.kept, kept.len() as u64);
        prop_assert_eq!(report.erased, old.iter().filter(|row| row.tenant == "t2").count() as u64);
        prop_assert_eq!(report.kept + report.erased + report.expired, (old.len() + new.len()) as u64);
    }
}

/// Together the runs hold all rows, and each of them is in order.
fn check_runs(blocks: &Blocks, runs: &[Vec<MergeInput>], rows: &[Row]) {
    let mut all = Vec::new();
    for run in runs {
        // Retention is part of the order but not shown: within one retention rows must ascend, and across blocks sections.
        for input in run {
            for section in &input.summary.sections {
                assert!(section.series > 0 && section.samples >= section.series);
            }
        }
        for pair in run.windows(2) {
            let (last, first) = (pair[0].summary.sections.last().unwrap(), pair[1].summary.sections.first().unwrap());
            assert!(last.key() <= first.key());
        }
        let of_run = blocks.rows(run);
        let one_retention =
            run.iter().all(|input| input.summary.sections.iter().all(|section| section.retention_days == 0));
        assert!(!one_retention || of_run.is_sorted());
        all.extend(of_run);
    }
    all.sort();
    assert_eq!(all, plain(rows));
}

#[test]
fn equal_samples_of_several_runs_are_all_kept() {
    let row = |value: f64| Row::new("t", "m", 0, &[("k", "v")], 5, value);
    let rows = [row(1.0), row(1.0), row(2.0), row(-0.0), row(0.0)];
    let mut blocks = Blocks::default();
    let runs: Vec<_> = (0..9).map(|_| blocks.arrive(&rows, 3, SMALL)).collect();
    let (merged, report) = blocks.merge(&runs, &KeepAll, options(10), SMALL);
    assert_eq!(report.kept, 45);
    assert_eq!(blocks.rows(&merged.concat()), plain(&vec![rows; 9].concat()));
}

#[test]
fn very_many_windows_in_one_batch_are_parted() {
    let rows: Vec<Row> = (0..400)
        .flat_map(|day| (0..5).map(move |n| Row::new("t", "m", 0, &[("k", &n.to_string())], day * DAY_MS + n, 1.0)))
        .collect();
    let mut blocks = Blocks::default();
    let run = blocks.arrive(&rows, 500, SMALL);
    let (merged, _) = blocks.merge(&[run], &KeepAll, options(100), SMALL);
    assert_eq!(merged.len(), 400);
    let (wide, _) =
        blocks.merge(&merged, &KeepAll, MergeOptions { block_samples: 10_000, window_ms: 30 * DAY_MS }, SMALL);
    assert_eq!(wide.len(), 14);
    let mut all = blocks.rows(&wide.concat());
    all.sort();
    assert_eq!(all, plain(&rows));
}

#[test]
fn samples_of_too_many_windows_make_smaller_blocks() {
    let row = |n: i64, day: i64| Row::new("t", "m", 0, &[("k", &format!("{n:05}"))], day * DAY_MS + n, 1.0);
    let rows: Vec<Row> = (0..1_500).flat_map(|n| (0..4).map(move |day| row(n, day))).collect();
    let mut blocks = Blocks::default();
    let run = blocks.arrive(&rows, 10_000, SMALL);
    let (at_once, _) = blocks.merge(std::slice::from_ref(&run), &KeepAll, options(10_000), SMALL);
    assert!(at_once.iter().all(|run| run.len() == 1));
    let little_memory = Layout { collected_bytes: 60_000, ..SMALL };
    let (merged, report) = blocks.merge(&[run], &KeepAll, options(10_000), little_memory);
    assert_eq!((merged.len(), report.kept), (4, rows.len() as u64));
    assert!(merged.iter().any(|run| run.len() > 1), "no block was ended early");
    check_runs(&blocks, &merged, &rows);
}

#[test]
fn erased_and_expired_blocks_are_not_read() {
    let rows: Vec<Row> = (0..50).map(|n| Row::new("t2", "m", 7, &[("k", &n.to_string())], n, 1.0)).collect();
    let mut blocks = Blocks::default();
    let run = vec![blocks.arrive(&rows, 1_000, SMALL)];
    let erase = Rules { keep_from: i64::MIN, erased: tenant("t2"), erased_up_to: BlockId(9) };
    let expire = Rules { keep_from: 50, erased: tenant("nobody"), erased_up_to: BlockId(0) };
    for (rules, erased, expired) in [(erase, 50, 0), (expire, 0, 50)] {
        let (merged, report) = blocks.merge(&run, &rules, options(10), SMALL);
        assert!(merged.is_empty());
        assert_eq!((report.kept, report.erased, report.expired), (0, erased, expired));
    }
    assert_eq!(blocks.pages_read.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn what_the_receiver_fails_with_ends_the_merge() {
    let rows: Vec<Row> = (0..50).map(|n| Row::new("t", "m", 0, &[], n, 1.0)).collect();
    let mut blocks = Blocks::default();
    let run = vec![blocks.arrive(&rows, 1_000, SMALL)];
    let reads = MergeReads { pages: &blocks, rules: &KeepAll };
    let mut emitted = 0;
    let result = merge_with(&run, reads, &options(5), SMALL, &mut |_| {
        emitted += 1;
        Err(StorageError::DiskFull("test".to_owned()))
    });
    assert!(matches!(result, Err(StorageError::DiskFull(_))));
    assert_eq!(emitted, 1);
}
