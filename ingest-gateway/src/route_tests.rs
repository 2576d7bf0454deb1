#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use luminate_model::validation::SampleLimits;
use luminate_schemas::decode;
use proptest::prelude::*;

use super::*;
use crate::decode::DecodedSample;
use crate::validate::Validator;

/// Splits samples of these sizes in bytes, of which the flag says whether they are valid. The value is the index.
fn split(samples: &[(usize, bool)], shards: u32) -> Routed {
    let validator = Validator { limits: SampleLimits::RECORD, retention: Arc::default(), now: 0 };
    let mut splitter = Splitter::new(NonZeroU32::new(shards).unwrap());
    let mut at = 100;
    for (index, &(size, is_valid)) in samples.iter().enumerate() {
        splitter.begin(at);
        if is_valid {
            let host = format!("host-{}", index % 20);
            let dimensions = vec![("host".into(), host.into())];
            let mut sample = DecodedSample { name: "m".into(), timestamp: 1, value: index as f64, dimensions };
            splitter.put(index as u32, &validator.judge(&mut sample).unwrap());
        }
        at += size;
    }
    splitter.finish()
}

/// The number of the part of each sample that is in one, by its index.
fn placed(routed: &Routed) -> BTreeMap<u32, u32> {
    let mut placed = BTreeMap::new();
    for part in &routed.parts {
        let columns = decode(&part.value).unwrap();
        let values: Vec<u32> = columns.rows().map(|row| row.value as u32).collect();
        assert_eq!(values, part.indexes, "a part knows the indexes of its samples");
        assert!(part.number < routed.total_parts);
        assert!(!part.indexes.is_empty());
        assert!(placed.len() + part.indexes.len() <= u32::MAX as usize);
        placed.extend(part.indexes.iter().map(|index| (*index, part.number)));
    }
    placed
}

#[test]
fn a_range_ends_with_its_samples() {
    let samples = vec![(10, true); 2 * RANGE_SAMPLES as usize + 1];
    let routed = split(&samples, 1);
    let sizes: Vec<_> = routed.parts.iter().map(|part| part.indexes.len() as u32).collect();
    assert_eq!((sizes, routed.total_parts), (vec![RANGE_SAMPLES, RANGE_SAMPLES, 1], 3));
    assert_eq!(split(&samples[..2 * RANGE_SAMPLES as usize], 1).total_parts, 2, "no empty range at the end");
}

#[test]
fn a_range_ends_with_its_bytes() {
    let half = RANGE_BODY_BYTES / 2;
    let sizes = |routed: Routed| routed.parts.iter().map(|part| part.indexes.len()).collect::<Vec<_>>();
    assert_eq!(sizes(split(&[(half, true); 5], 1)), [2, 2, 1]);
    assert_eq!(sizes(split(&[(half + 1, true), (half - 2, true), (10, true), (10, true)], 1)), [3, 1]);
    assert_eq!(sizes(split(&[(10 * half, true), (1, true), (1, true)], 1)), [1, 2]);
}

#[test]
fn no_samples_make_no_parts() {
    assert_eq!(split(&[], 4), Routed::default());
    assert_eq!(split(&[(10, false)], 4), Routed { parts: Vec::new(), total_parts: 4 });
}

proptest! {
    #![proptest_config(crate::seeded_proptest(100))]

    #[test]
    fn parts_depend_on_sizes_and_series_alone(
        samples in prop::collection::vec((prop_oneof![50..500_usize, 100_000..400_000_usize], any::<bool>()), 0..60),
        shards in 1..5_u32,
    ) {
        let all: Vec<_> = samples.iter().map(|(size, _)| (*size, true)).collect();
        let (all, some) = (split(&all, shards), split(&samples, shards));
        prop_assert_eq!(all.total_parts, some.total_parts);
        let (of_all, of_some) = (placed(&all), placed(&some));
        prop_assert_eq!(of_all.len(), samples.len(), "every valid sample is in one part");
        for (index, (_, is_valid)) in samples.iter().enumerate() {
            let expected = if *is_valid { of_all.get(&(index as u32)) } else { None };
            prop_assert_eq!(of_some.get(&(index as u32)), expected);
        }
    }
}
