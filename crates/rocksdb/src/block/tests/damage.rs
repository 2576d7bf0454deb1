//! Damaged bytes are an error that names their place, never other data, a panic or a large heap.

use ::bytes::Bytes;
use luminate_storage::{ScanRequest, StorageError};
use proptest::prelude::*;

use super::support::*;
use crate::block::page::{seal, unseal};
use crate::block::{BlockSummary, MergeInput, MergeOptions};

fn some_rows() -> Vec<Row> {
    (0..200)
        .map(|n| {
            let (customer, zone) = (format!("customer-{:04}", n % 60), format!("z{}", n % 3));
            let dimensions = [("customer", customer.as_str()), ("zone", zone.as_str())];
            Row::new("t", if n % 4 == 0 { "m2" } else { "m1" }, 0, &dimensions, n * 10, (n % 30) as f64 / 10.0)
        })
        .collect()
}

/// An arrival block or a merged one.
fn some_block(blocks: &mut Blocks, merged: bool) -> MergeInput {
    let run = blocks.arrive(&some_rows(), 1_000, SMALL);
    let runs = if merged { blocks.merge(&[run], &KeepAll, MergeOptions::default(), SMALL).0 } else { vec![run] };
    runs[0][0].clone()
}

fn scan_all(blocks: &Blocks, input: &MergeInput) -> Result<Vec<Row>, StorageError> {
    let mut rows = Vec::new();
    for metric in ["m1", "m2"] {
        let mut request = ScanRequest::new(tenant("t"), metric, NOW);
        request.columns.all_dimensions = true;
        request.columns.series_ids = true;
        request.columns.timestamps = true;
        request.columns.values = true;
        for chunk in blocks.scan(input, &request)? {
            rows.extend(chunk_rows(&tenant("t"), &chunk));
        }
    }
    Ok(rows)
}

proptest! {
    #![proptest_config(crate::block::seeded_proptest())]

    #[test]
    fn a_flipped_bit_of_a_page_names_block_and_page(merged: bool, page: prop::sample::Index, bit: prop::sample::Index) {
        let mut blocks = Blocks::default();
        let input = some_block(&mut blocks, merged);
        let before = scan_all(&blocks, &input).unwrap();
        let page = page.index(input.summary.pages as usize) as u32;
        let mut bytes = blocks.page_mut(input.id, page).to_vec();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        *blocks.page_mut(input.id, page) = Bytes::from(bytes);
        match scan_all(&blocks, &input) {
            // A page that the scan does not need.
            Ok(after) => prop_assert_eq!(after, before),
            Err(error) => {
                prop_assert!(error.to_string().contains(&format!("page {page} of block {}", input.id)), "{}", error);
            }
        }
    }

    #[test]
    fn a_flipped_bit_of_a_summary_is_refused(merged: bool, bit: prop::sample::Index) {
        let mut blocks = Blocks::default();
        let mut bytes = some_block(&mut blocks, merged).summary.encode();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(BlockSummary::decode(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_no_summary(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(BlockSummary::decode(&bytes).is_err());
    }

    /// The checksum is made to hold again, so that what stands behind it is tested: whatever comes out, it comes out.
    #[test]
    fn pages_with_a_right_checksum_and_wrong_bytes_are_read_or_refused(
        merged: bool,
        page: prop::sample::Index,
        at: prop::sample::Index,
        with in prop::collection::vec(any::<u8>(), 1..12),
        cut: bool,
    ) {
        let mut blocks = Blocks::default();
        let input = some_block(&mut blocks, merged);
        let page = page.index(input.summary.pages as usize) as u32;
        let mut payload = unseal(blocks.page_mut(input.id, page), page).unwrap().to_vec();
        let at = at.index(payload.len());
        for (place, byte) in payload.iter_mut().skip(at).zip(&with) {
            *place = *byte;
        }
        if cut {
            payload.truncate(at);
        }
        *blocks.page_mut(input.id, page) = Bytes::from(seal(payload, page));
        let mut request = ScanRequest::new(tenant("t"), "m1", NOW);
        request.columns.all_dimensions = true;
        request.columns.series_ids = true;
        request.columns.timestamps = true;
        request.columns.values = true;
        let _ = blocks.scan(&input, &request);
        let rules = KeepAll;
        let reads = crate::block::merge::MergeReads { pages: &blocks, rules: &rules };
        let _ = crate::block::merge::merge_with(&[vec![input]], reads, &MergeOptions::default(), SMALL, &mut |_| Ok(()));
    }

    #[test]
    fn summaries_with_a_right_checksum_and_wrong_bytes_are_read_or_refused(
        at: prop::sample::Index,
        with in prop::collection::vec(any::<u8>(), 1..6),
    ) {
        let mut blocks = Blocks::default();
        let input = some_block(&mut blocks, true);
        let mut payload = input.summary.encode();
        payload.truncate(payload.len() - 8);
        let at = at.index(payload.len());
        for (place, byte) in payload.iter_mut().skip(at).zip(&with) {
            *place = *byte;
        }
        let sum = xxhash_rust::xxh3::xxh3_64_with_seed(&payload, u64::MAX);
        payload.extend_from_slice(&sum.to_le_bytes());
        if let Ok(summary) = BlockSummary::decode(&payload) {
            let input = MergeInput { id: input.id, summary: std::sync::Arc::new(summary) };
            let _ = scan_all_quietly(&blocks, &input);
        }
    }
}

fn scan_all_quietly(blocks: &Blocks, input: &MergeInput) -> Result<(), StorageError> {
    let mut request = ScanRequest::new(tenant("t"), "m1", NOW);
    request.columns.all_dimensions = true;
    request.columns.timestamps = true;
    request.columns.values = true;
    blocks.scan(input, &request).map(|_| ())
}

#[test]
fn a_page_of_another_number_is_refused() {
    let page = seal(b"payload".to_vec(), 3);
    assert_eq!(unseal(&page, 3), Ok(&b"payload"[..]));
    assert!(unseal(&page, 4).is_err());
    assert!(unseal(&page[..5], 3).is_err());
}
