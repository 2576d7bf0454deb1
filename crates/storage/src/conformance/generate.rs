//! Generated samples and requests, the same for the same seed.
//!
//! Alphabets are small, so that ties, duplicates, gaps, empty groups and series over many batches happen all the time;
//! [`Occurrences`] counts them, so that a test can assert that they did. Values are small multiples of a quarter: their
//! sums are exact in any order, so answers can be compared exactly.

use std::collections::{BTreeMap, BTreeSet};

use luminate_model::time::DAY_MS;
use luminate_model::{Incarnation, Offset, SampleColumnsBuilder, Source, TenantId, TenantRetention, TimeRange};

use super::dice::Dice;
use crate::batch::{Batch, BatchRecord};
use crate::filter::{DimensionFilter, DimensionTest};
use crate::pattern::Pattern;
use crate::request::{AggregateFunction, AggregateRequest, CatalogueRequest, Direction, GroupOrder, ScanRequest, Step};

/// The time at which everything generated is asked for, and that a store under test must take for now: 2025-01-03,
/// ms since 1970.
pub const NOW: i64 = 1_735_862_400_000;

const METRICS: [&str; 3] = ["latency", "latency_total", "size"];
const KEYS: [&str; 5] = ["customer", "endpoint", "region", "rare", "nowhere"];
const CUSTOMERS: [&str; 9] = ["", "c1", "c2", "c3", "c10", "c11", "C1", "ä1", "c1\nc2"];
const ENDPOINTS: [&str; 5] = ["/api", "/api/users", "/api/orders", "/login", ""];
const REGIONS: [&str; 3] = ["eu", "us", ""];

/// How often the interesting things happened.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Occurrences {
    /// Samples in all.
    pub samples: usize,
    /// Samples with the timestamp of another sample of their series, and another value.
    pub ties: usize,
    /// Samples that equal another one in everything.
    pub duplicates: usize,
    /// Series with samples in more than one batch.
    pub series_over_batches: usize,
    /// Samples that lack a dimension that others of their metric have.
    pub missing_dimensions: usize,
    /// Samples whose retention has passed at [`NOW`].
    pub expired: usize,
    /// Samples before 1970.
    pub before_1970: usize,
}

/// The tenants of generated samples; the last one has none.
#[must_use]
pub fn tenants() -> Vec<TenantId> {
    ["acme", "beta", "nobody"].into_iter().map(tenant).collect()
}

/// A tenant of the tests.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the tenants of tests come from tests")]
#[allow(clippy::expect_used)]
pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("a tenant's name")
}

/// A history of two partitions: batches in an order in which they can be written, with about `samples` samples.
pub fn history(dice: &mut Dice, incarnation: Incarnation, samples: usize) -> (Vec<Batch>, Occurrences) {
    let mut next = [Offset(dice.below(3) as u64), Offset(0)];
    let mut batches = Vec::new();
    let mut generated = 0;
    while generated < samples {
        let partition = dice.below(next.len());
        let source = Source { incarnation, partition: partition as u32 };
        let batch = batch(dice, source, next[partition]);
        next[partition] = batch.next;
        generated += batch.samples();
        batches.push(batch);
    }
    let occurrences = occurrences(&batches);
    (batches, occurrences)
}

fn batch(dice: &mut Dice, source: Source, first: Offset) -> Batch {
    let mut next = first;
    let mut records = Vec::new();
    for _ in 0..1 + dice.below(4) {
        // Some offsets have no samples: repeats, dead letters, holes.
        if !dice.once_in(4) {
            records.push(record(dice, next));
        }
        next = next.next();
    }
    Batch { source, first, next, records, idempotency: Vec::new(), forget_idempotency_before: i64::MIN }
}

fn record(dice: &mut Dice, offset: Offset) -> BatchRecord {
    let tenant = tenants()[usize::from(dice.once_in(4))].clone();
    let mut builder = SampleColumnsBuilder::new();
    for _ in 0..dice.below(60) {
        let metric = dice.choose(&METRICS);
        let dimensions = dimensions(dice);
        let retention = if metric == "size" { dice.below(4) as u16 } else { 0 };
        builder.push(metric, retention, timestamp(dice), value(dice), &dimensions);
        // What is measured several times in one moment is several samples, equal ones too.
        if dice.once_in(10) {
            let at = timestamp(dice);
            let again = [0.25, 0.25, value(dice), 0.25];
            again.iter().for_each(|value| builder.push(metric, retention, at, *value, &dimensions));
        }
    }
    BatchRecord { tenant, offset, samples: builder.finish() }
}

fn dimensions(dice: &mut Dice) -> Vec<(&'static str, &'static str)> {
    let mut dimensions = vec![
        ("customer", dice.choose(&CUSTOMERS)),
        ("endpoint", dice.choose(&ENDPOINTS)),
        ("rare", if dice.once_in(30) { "yes" } else { "" }),
        ("region", dice.choose(&REGIONS)),
    ];
    dimensions.retain(|(_, value)| !value.is_empty());
    dimensions
}

fn timestamp(dice: &mut Dice) -> i64 {
    match dice.below(20) {
        0 => dice.below(4000) as i64 - 2000,
        1 => NOW - 5 * DAY_MS + dice.below(5 * DAY_MS as usize) as i64,
        // Few enough moments to meet again, over two days.
        _ => NOW - 2 * DAY_MS + dice.below(240) as i64 * 720_000,
    }
}

fn value(dice: &mut Dice) -> f64 {
    (dice.below(400) as f64 - 200.0) * 0.25
}

fn occurrences(batches: &[Batch]) -> Occurrences {
    let mut found = Occurrences::default();
    let mut series_batches = BTreeMap::<_, BTreeSet<usize>>::new();
    let mut values_at = BTreeMap::<_, Vec<f64>>::new();
    for (at, batch) in batches.iter().enumerate() {
        for record in &batch.records {
            for row in record.samples.rows() {
                let sample = row.to_sample();
                let series = (record.tenant.clone(), sample.series_id());
                found.samples += 1;
                found.missing_dimensions += usize::from(sample.dimensions.len() < 3);
                found.expired += usize::from(
                    row.retention_days() > 0 && sample.timestamp < NOW - i64::from(row.retention_days()) * DAY_MS,
                );
                found.before_1970 += usize::from(sample.timestamp < 0);
                let known = values_at.entry((series.clone(), sample.timestamp)).or_default();
                found.duplicates += usize::from(known.contains(&sample.value));
                found.ties += usize::from(known.iter().any(|value| *value != sample.value));
                known.push(sample.value);
                series_batches.entry(series).or_default().insert(at);
            }
        }
    }
    found.series_over_batches = series_batches.values().filter(|batches| batches.len() > 1).count();
    found
}

/// A scan of some tenant's samples of some metric, mostly of one that exists. Its columns are not set.
pub fn scan_request(dice: &mut Dice) -> ScanRequest {
    let tenants = tenants();
    let tenant = tenants[dice.below(8).saturating_sub(5)].clone();
    let metric = if dice.once_in(20) { "unknown" } else { dice.choose(&METRICS) };
    let mut request = ScanRequest::new(tenant, metric, NOW);
    request.time = time_range(dice);
    request.filters = (0..dice.below(5).saturating_sub(2)).map(|_| filter(dice)).collect();
    request.retention = retention(dice);
    request
}

fn time_range(dice: &mut Dice) -> TimeRange {
    match dice.below(8) {
        0..=3 => TimeRange::ALL,
        4 => TimeRange { start: -1000, end: 1000 },
        5 => TimeRange { start: NOW - DAY_MS, end: NOW },
        _ => {
            let start = NOW - 2 * DAY_MS + dice.below(200) as i64 * 720_000;
            TimeRange { start, end: start + 1 + dice.below(DAY_MS as usize) as i64 }
        }
    }
}

fn retention(dice: &mut Dice) -> TenantRetention {
    let mut retention = TenantRetention::default();
    if dice.once_in(6) {
        retention.default_days = 1;
    }
    if dice.once_in(6) {
        retention.metrics.insert("latency".to_owned(), 2);
    }
    retention
}

/// A condition on one of the generated dimensions, or on one that no sample has.
pub fn filter(dice: &mut Dice) -> DimensionFilter {
    let key = dice.choose(&KEYS).to_owned();
    let text = |dice: &mut Dice| {
        let alphabet = [&CUSTOMERS[..], &ENDPOINTS[..], &REGIONS[..], &["unknown"]].concat();
        let of_key = match key.as_str() {
            "customer" => CUSTOMERS.to_vec(),
            "endpoint" => ENDPOINTS.to_vec(),
            "region" => REGIONS.to_vec(),
            _ => alphabet.clone(),
        };
        let choices = if dice.once_in(8) { &alphabet } else { &of_key };
        dice.choose(choices).to_owned()
    };
    let test = match dice.below(8) {
        0 | 1 => DimensionTest::Equal(text(dice)),
        2 => DimensionTest::NotEqual(text(dice)),
        3 => DimensionTest::In((0..dice.below(4)).map(|_| text(dice)).collect()),
        4 => DimensionTest::NotIn((0..dice.below(4)).map(|_| text(dice)).collect()),
        5 => DimensionTest::Exists(dice.once_in(2)),
        6 => DimensionTest::Prefix(dice.choose(&["c", "c1", "/api", "", "ä", "x"]).to_owned()),
        _ => DimensionTest::Regex(pattern(dice)),
    };
    DimensionFilter { key, test }
}

#[allow(clippy::expect_used)]
fn pattern(dice: &mut Dice) -> Pattern {
    let patterns = ["c.*", ".*", ".+", "c1|c2", "(?i)c1", "/api(/.*)?", r"c\d+", r"[^c].*", "", r"(?s)c1.c2", "eu"];
    Pattern::compile(dice.choose(&patterns)).expect("a pattern")
}

/// An aggregate over [`scan_request`].
pub fn aggregate_request(dice: &mut Dice) -> AggregateRequest {
    let mut request = AggregateRequest::new(scan_request(dice), function(dice));
    for _ in 0..dice.below(4) {
        let key = dice.choose(&KEYS);
        if !request.group_by.iter().any(|known| known == key) {
            request.group_by.push(key.to_owned());
        }
    }
    if dice.once_in(2) {
        let width = *dice.choose(&[&DAY_MS, &3_600_000, &(7 * 3_600_000 + 1), &700_000_000]);
        let origin = if dice.once_in(2) { 0 } else { request.scan.time.start };
        request.step = Some(Step { width, origin });
    }
    request.order = *dice.choose(&[
        &GroupOrder::GroupAscending,
        &GroupOrder::GroupDescending,
        &GroupOrder::Value(Direction::Ascending),
        &GroupOrder::Value(Direction::Descending),
    ]);
    request.limit = if dice.once_in(2) { Some(1 + dice.below(6)) } else { None };
    request
}

fn function(dice: &mut Dice) -> AggregateFunction {
    match dice.below(14) {
        0 => AggregateFunction::Avg,
        1 => AggregateFunction::Sum,
        2 => AggregateFunction::Min,
        3 => AggregateFunction::Max,
        4 => AggregateFunction::Count,
        5 => AggregateFunction::Stddev,
        6 => AggregateFunction::Distinct { of: None },
        7 | 8 => AggregateFunction::Distinct { of: Some(dice.choose(&KEYS).to_owned()) },
        9 => AggregateFunction::First,
        10 => AggregateFunction::Last,
        _ => AggregateFunction::Percentile(*dice.choose(&[&0.0, &25.0, &50.0, &95.0, &99.9, &100.0])),
    }
}

/// A page of the catalogue.
pub fn catalogue_request(dice: &mut Dice) -> CatalogueRequest {
    let tenants = tenants();
    let tenant = tenants[dice.below(8).saturating_sub(5)].clone();
    let mut request = CatalogueRequest::new(tenant, 1 + dice.below(8), NOW);
    request.metric = if dice.once_in(2) { Some(dice.choose(&METRICS).to_owned()) } else { None };
    request.time = time_range(dice);
    request.prefix = dice.choose(&["", "", "", "c", "l", "/api", "r"]).to_owned();
    request.after = if dice.once_in(3) { Some(dice.choose(&["c1", "latency", "/api", "a"]).to_owned()) } else { None };
    request.retention = retention(dice);
    request
}
