use std::time::Duration;

use luminate_storage::conformance::Dice;
use luminate_storage::{QueryContext, QueryLimits};

use super::select::FEW;
use super::*;

fn context(memory_bytes: u64) -> QueryContext {
    QueryContext::new(QueryLimits { timeout: Duration::from_secs(60), memory_bytes, samples: u64::MAX, workers: 1 })
}

fn run(values: &[f64]) -> Run<'_> {
    Run { samples: values.len(), timestamps: &[], values, identity: None }
}

/// The value at a rank, and the one after it, as a sort has them.
fn sorted_percentile(mut values: Vec<f64>, percent: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() - 1) as f64 * (percent / 100.0);
    let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
    interpolate(below, above, place - place.floor())
}

/// Values in parts, as buckets of time or workers have them.
fn assert_as_sorted(parts: &[Vec<f64>]) {
    let mut memory = Reservation::new(&context(1 << 30));
    let accumulated: Vec<Percentile> = parts
        .iter()
        .map(|values| {
            let mut part = Percentile::default();
            values.chunks(1000).for_each(|values| part.add(run(values), &mut memory).unwrap());
            part
        })
        .collect();
    let parts_of: Vec<&Percentile> = accumulated.iter().collect();
    for percent in [0.0, 0.1, 25.0, 50.0, 95.0, 99.9, 100.0] {
        let value = Percentile::value(&parts_of, &AggregateFunction::Percentile(percent), &mut memory).unwrap();
        let expected = sorted_percentile(parts.concat(), percent);
        assert_eq!(value.to_bits(), expected.to_bits(), "p{percent}: {value} and {expected}");
    }
    let len = parts.concat().len();
    for rank in [0, len / 2, len - 1] {
        let selected = select::neighbours(&parts_of, rank, &mut memory).unwrap();
        assert_eq!(histogram::neighbours(&parts_of, len, rank, &mut memory).unwrap(), selected, "rank {rank}");
    }
    let mut merged = Percentile::default();
    accumulated.into_iter().for_each(|part| merged.merge(part, &mut memory).unwrap());
    let value = Percentile::value(&[&merged], &AggregateFunction::Percentile(95.0), &mut memory).unwrap();
    assert_eq!(value.to_bits(), sorted_percentile(parts.concat(), 95.0).to_bits());
}

#[test]
fn few_values_are_those_of_a_sort() {
    assert_as_sorted(&[vec![7.0]]);
    assert_as_sorted(&[vec![3.0, -1.0], vec![2.0], vec![3.0]]);
    let mut dice = Dice::new(1);
    let values = |dice: &mut Dice, count: usize| (0..count).map(|_| dice.below(50) as f64 * 0.5).collect::<Vec<f64>>();
    assert_as_sorted(&[values(&mut dice, 900), values(&mut dice, 17), values(&mut dice, 3000)]);
}

#[test]
fn many_values_are_those_of_a_sort_however_they_are_spread() {
    let mut dice = Dice::new(2);
    let count = FEW + 5000;
    let mut spread = |value: &dyn Fn(u64) -> f64| -> Vec<f64> { (0..count).map(|_| value(dice.any())).collect() };
    let even = spread(&|any| (any % 100_000) as f64 * 0.1);
    let any_double = spread(&|any| Some(f64::from_bits(any)).filter(|value| value.is_finite()).unwrap_or(0.0));
    let all_equal = spread(&|_| 42.5);
    let two_values = spread(&|any| if any % 3 == 0 { -1.0 } else { f64::MAX });
    let nearly_equal = spread(&|any| if any % 10_000 == 0 { (any >> 40) as f64 } else { 1.0 });
    let zeros = spread(&|any| if any % 2 == 0 { 0.0 } else { -0.0 });
    let tiny = spread(&|any| f64::from_bits(any % 5));
    for values in [even, any_double, all_equal, two_values, nearly_equal, zeros, tiny] {
        let (first, second) = values.split_at(count / 3);
        assert_as_sorted(&[first.to_vec(), second.to_vec()]);
    }
}

#[test]
fn a_sample_suffices_for_values_that_differ() {
    let mut dice = Dice::new(3);
    let mut memory = Reservation::new(&context(1 << 30));
    let mut percentile = Percentile::default();
    let values: Vec<f64> = (0..200_001).map(|_| dice.any() as f64).collect();
    percentile.add(run(&values), &mut memory).unwrap();
    for rank in [0, 1, 100, 100_000, 190_000, 199_999, 200_000] {
        assert!(window::neighbours(&[&percentile], values.len(), rank, &mut memory).unwrap().is_some(), "rank {rank}");
    }
}

#[test]
fn distances_beyond_all_doubles_are_interpolated() {
    assert_eq!(interpolate(-f64::MAX, f64::MAX, 0.5), 0.0);
    assert_eq!(interpolate(1.0, 2.0, 0.25), 1.25);
}

#[test]
fn what_is_held_is_little_more_than_the_values() {
    let values = vec![1.5; 1_000_000];
    let context = context(1 << 30);
    let mut memory = Reservation::new(&context);
    let mut percentile = Percentile::default();
    values.chunks(10).for_each(|values| percentile.add(run(values), &mut memory).unwrap());
    let held = context.memory_peak();
    assert!((8_000_000..8_500_000).contains(&held), "{held} bytes for a million values");
    Percentile::value(&[&percentile], &AggregateFunction::Percentile(50.0), &mut memory).unwrap();
    assert!(context.memory_peak() < held + 1_600_000, "valuing took {} bytes more", context.memory_peak() - held);
}

#[test]
fn a_limit_on_memory_is_an_error() {
    let mut memory = Reservation::new(&context(100_000));
    let mut percentile = Percentile::default();
    let result = percentile.add(run(&vec![1.0; 20_000]), &mut memory);
    assert!(matches!(result, Err(StorageError::MemoryLimit { limit_bytes: 100_000 })));
}
