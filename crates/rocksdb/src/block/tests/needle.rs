//! One customer of very many: a filter page for a block without it, a handful of pages for one with it.

use std::sync::atomic::Ordering;

use luminate_storage::{DimensionFilter, DimensionTest, ScanRequest};

use super::support::*;
use crate::block::index::Layout;
use crate::block::{MergeInput, MergeOptions};

fn request(customer: &str) -> ScanRequest {
    let mut request = ScanRequest::new(tenant("t"), "m", NOW);
    let test = DimensionTest::Equal(customer.to_owned());
    request.filters = vec![DimensionFilter { key: "customer".to_owned(), test }];
    request.columns.timestamps = true;
    request.columns.values = true;
    request
}

fn merged_blocks(blocks: &mut Blocks) -> Vec<MergeInput> {
    let rows: Vec<Row> = (0..120_000)
        .map(|n| {
            let (customer, zone) = (format!("customer_{:06}", n / 3), format!("zone_{}", n % 5 / 3));
            Row::new("t", "m", 0, &[("customer", &customer), ("zone", &zone)], n * 7 % 80_000_000, n as f64 / 10.0)
        })
        .collect();
    let run = blocks.arrive(&rows, 131_072, Layout::STANDARD);
    let options = MergeOptions { block_samples: 12_000, ..MergeOptions::default() };
    blocks.merge(&[run], &KeepAll, options, Layout::STANDARD).0.concat()
}

#[test]
fn one_customer_is_found_in_few_pages() {
    let mut blocks = Blocks::default();
    let run = merged_blocks(&mut blocks);
    assert!(run.len() >= 8);
    for customer in ["customer_000000", "customer_012345", "customer_039999", "customer_040000", "nobody"] {
        let context = context();
        let mut samples = 0;
        for input in &run {
            let before = blocks.pages_read.load(Ordering::Relaxed);
            let chunks = blocks.scan_counted(input, &request(customer), &context).unwrap();
            let read = blocks.pages_read.load(Ordering::Relaxed) - before;
            let found: usize = chunks.iter().map(|chunk| chunk.samples()).sum();
            samples += found;
            // Index, filter, dictionary, references; then runs, timestamps and values for each series, of which a customer
            // has two at most.
            assert!(read <= if found > 0 { 10 } else { 4 }, "{read} pages for {found} samples");
        }
        let known = customer < "customer_040000";
        assert_eq!(samples, if known { 3 } else { 0 });
        let skipped = context.counters().blocks_skipped.load(Ordering::Relaxed) as usize;
        assert!(skipped + 4 >= run.len(), "{skipped} of {} blocks were skipped", run.len());
        assert_eq!(context.counters().samples_read.load(Ordering::Relaxed), samples as u64);
    }
}

#[test]
fn keys_and_times_that_a_block_does_not_have_rule_it_out_unread() {
    let mut blocks = Blocks::default();
    let run = merged_blocks(&mut blocks);
    let mut of_no_key = request("x");
    of_no_key.filters[0].key = "absent".to_owned();
    let mut of_no_time = request("customer_000001");
    of_no_time.time.start = 90_000_000;
    let mut of_no_tenant = ScanRequest::new(tenant("other"), "m", NOW);
    of_no_tenant.columns.values = true;
    for request in [of_no_key, of_no_time, of_no_tenant] {
        assert!(blocks.scan(&run[0], &request).unwrap().is_empty());
    }
    assert_eq!(blocks.pages_read.load(Ordering::Relaxed), pages_read_by_merging(&blocks, &run));
}

/// What was read before the scans: nothing is left but what merging read, and scanning one block adds to it.
fn pages_read_by_merging(blocks: &Blocks, run: &[MergeInput]) -> u64 {
    let read = blocks.pages_read.load(Ordering::Relaxed);
    blocks.scan(&run[0], &request("customer_000001")).unwrap();
    assert!(blocks.pages_read.load(Ordering::Relaxed) > read);
    read
}
