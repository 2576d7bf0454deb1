//! Every number comes back, and no bytes make a reader panic.

use pco::{ChunkConfig, ModeSpec};
use proptest::prelude::*;

use super::*;

const EFFORTS: [Effort; 2] = [Effort::Quick, Effort::Thorough];

const PCOS: [Pco; 3] = [Pco::Nothing, Pco::Numbers, Pco::Differences];

fn packed_u32s(numbers: &[u32], pco: Pco) -> Vec<u8> {
    let mut out = Vec::new();
    pack_u32s(&mut out, numbers, pco);
    out
}

fn packed_i64s(numbers: &[i64], pco: Pco) -> Vec<u8> {
    let mut out = Vec::new();
    pack_i64s(&mut out, numbers, pco);
    out
}

fn packed_f64s(numbers: &[f64], effort: Effort) -> Vec<u8> {
    let mut out = Vec::new();
    pack_f64s(&mut out, numbers, effort);
    out
}

/// Some numbers of as many bits as `bits` says, from a base.
fn numbers() -> impl Strategy<Value = Vec<u64>> {
    (0_u32..65, any::<u64>()).prop_flat_map(|(bits, base)| {
        let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        prop::collection::vec(any::<u64>().prop_map(move |n| base.wrapping_add(n & mask)), 0..300)
    })
}

proptest! {
     #![proptest_config(crate::block::seeded_proptest())]

    #[test]
    fn numbers_come_back(numbers in numbers()) {
        let of_32: Vec<u32> = numbers.iter().map(|n| *n as u32).collect();
        let of_64: Vec<i64> = numbers.iter().map(|n| *n as i64).collect();
        for pco in PCOS {
            let mut out = vec![7];
            unpack_u32s(&packed_u32s(&of_32, pco), of_32.len(), &mut out).unwrap();
            prop_assert_eq!(&out, &of_32);
            let mut out = vec![7];
            unpack_i64s(&packed_i64s(&of_64, pco), of_64.len(), &mut out).unwrap();
            prop_assert_eq!(&out, &of_64);
        }
    }

    #[test]
    fn every_bit_of_a_float_comes_back(
        any_bits in prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 0..100),
        decimals in prop::collection::vec((-100_000_i64..100_000).prop_map(|n| n as f64 / 100.0), 0..200),
        special in prop::sample::subsequence(vec![0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 1e15 + 0.5, 0.1 + 0.2], 0..6),
    ) {
        for numbers in [any_bits.clone(), decimals.clone(), [decimals, special, any_bits].concat()] {
            for effort in EFFORTS {
                let mut out = vec![7.0];
                unpack_f64s(&packed_f64s(&numbers, effort), numbers.len(), &mut out).unwrap();
                prop_assert!(out.iter().map(|n| n.to_bits()).eq(numbers.iter().map(|n| n.to_bits())));
            }
        }
    }

    #[test]
    fn spoilt_columns_are_read_or_refused(
        seed in prop::collection::vec(0_u32..5_000, 24..400),
        spoils in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        pco in prop::sample::select(PCOS.to_vec()),
        other_length in 0_usize..1_000,
    ) {
        let of_64: Vec<i64> = seed.iter().scan(0, |sum, n| { *sum += i64::from(*n); Some(*sum) }).collect();
        let wide: Vec<i64> = of_64.iter().map(|n| n * 1_000_003).collect();
        let decimals: Vec<f64> = seed.iter().map(|n| f64::from(*n) / 10.0).collect();
        let thirds: Vec<f64> = seed.iter().map(|n| f64::from(*n) / 3.0).collect();
        let columns = [
            packed_u32s(&seed, pco),
            packed_i64s(&of_64, pco),
            packed_i64s(&wide, pco),
            packed_f64s(&decimals, Effort::Thorough),
            packed_f64s(&thirds, Effort::Thorough),
        ];
        for mut bytes in columns {
            for (at, with) in &spoils {
                let at = at.index(bytes.len());
                bytes[at] = *with;
            }
            for length in [seed.len(), other_length] {
                let _ = unpack_u32s(&bytes, length, &mut Vec::new());
                let _ = unpack_i64s(&bytes, length, &mut Vec::new());
                let _ = unpack_f64s(&bytes, length, &mut Vec::new());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(
        how in 0_u8..6,
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        length in 0_usize..100,
    ) {
        let bytes = [vec![how], bytes].concat();
        let _ = unpack_u32s(&bytes, length, &mut Vec::new());
        let _ = unpack_i64s(&bytes, length, &mut Vec::new());
        let _ = unpack_f64s(&bytes, length, &mut Vec::new());
    }
}

#[test]
fn each_way_of_packing_is_used_where_it_pays() {
    let how = |bytes: &[u8]| bytes[0];
    let few: Vec<u32> = (0..1_000).map(|n| n % 7 * (n % 3)).collect();
    let ascending: Vec<i64> = (0..1_000).map(|n| n * 15_000 + n % 3).collect();
    let wide: Vec<i64> = ascending.iter().map(|n| n * 1_000_000).collect();
    let decimals: Vec<f64> = (0..1_000).map(|n| f64::from(n * 7 % 500) / 10.0).collect();
    let counter: Vec<f64> = (0..1_000).map(|n| f64::from(n * 700 + n % 3)).collect();
    let thirds: Vec<f64> = (0..1_000).map(|n| f64::from(n) / 3.0).collect();
    assert_eq!(how(&packed_u32s(&[5; 9], Pco::Nothing)), CONSTANT);
    assert_eq!(how(&packed_u32s(&few, Pco::Nothing)), BITS);
    assert_eq!(how(&packed_u32s(&few, Pco::Numbers)), PCO);
    assert_eq!(how(&packed_i64s(&ascending, Pco::Nothing)), BITS);
    assert_eq!(how(&packed_i64s(&ascending, Pco::Differences)), OFFSETS);
    assert_eq!(how(&packed_i64s(&wide, Pco::Differences)), PCO);
    assert_eq!(how(&packed_f64s(&decimals, Effort::Quick)), DECIMAL);
    assert_eq!(how(&packed_f64s(&decimals, Effort::Thorough)), DECIMAL);
    assert_eq!(how(&packed_f64s(&thirds, Effort::Quick)), RAW);
    assert_eq!(how(&packed_f64s(&thirds, Effort::Thorough)), PCO);
    assert!(packed_i64s(&ascending, Pco::Differences).len() < 500);
    assert!(packed_f64s(&decimals, Effort::Thorough).len() < 1_300);
    assert!(packed_f64s(&counter, Effort::Thorough).len() < 500);
}

/// `pco` takes memory for a dictionary by a length that stands in the bytes; none is ever written.
#[test]
fn a_dictionary_in_pco_is_refused_before_it_is_read() {
    let numbers: Vec<u32> = (0..1_000).map(|n| n % 5 * 1_000_003).collect();
    let mut bytes = Vec::new();
    assert!(put_pco(&mut bytes, &numbers, &ChunkConfig::default().with_mode_spec(ModeSpec::TryDict)));
    let mut out = Vec::new();
    assert!(unpack_u32s(&bytes, numbers.len(), &mut out).is_err());
    assert!(out.is_empty());
}
