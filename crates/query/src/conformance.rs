//! The comparison of any store with the in-memory oracle: generated queries, carried out over the store as the product
//! does it, and row by row by the oracle.

#![allow(clippy::expect_used, clippy::panic, reason = "these are the assertions of tests")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use luminate_model::{Receipt, Sample};
use luminate_storage::conformance::{Dice, generate};
use luminate_storage::memory::MemoryStore;
use luminate_storage::{
    AggregateAnswer, AggregateFunction, AggregateGroup, AggregateRequest, CataloguePage, CatalogueRequest,
    ChunkConsumer, GroupOrder, QueryContext, QueryLimits, ReachError, SampleSource, ScanColumns, ScanRequest,
    StorageError,
};

use crate::answer::Rows;
use crate::cursor::Cursor;
use crate::execute::execute;
use crate::plan::{AggregatePlan, Plan, RawPlan};

/// How often the interesting things happened among the compared answers, so that a test can assert that they did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Aggregates.
    pub aggregates: usize,
    /// Aggregates without any group.
    pub without_groups: usize,
    /// Groups in all.
    pub groups: usize,
    /// Groups in which a dimension is missing.
    pub missing_dimensions: usize,
    /// Aggregates whose limit left groups out.
    pub truncated: usize,
    /// Neighbouring groups with the same value.
    pub equal_values: usize,
    /// Buckets without samples between two with samples.
    pub gaps: usize,
    /// Pages of raw samples.
    pub pages: usize,
    /// Pages that end between equal samples.
    pub pages_between_equals: usize,
    /// Entries of the catalogue.
    pub catalogue_entries: usize,
}

/// Which answers may differ from the oracle's in their last digits, because they are rounded on the way and the way is the
/// store's. All others are the same to the bit: sums of generated values are exact in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Standard deviations.
    Deviations,
    /// Besides, percentiles whose place between two ranks is no multiple of a quarter. For stores that compute percentiles by
    /// themselves.
    DeviationsAndPercentiles,
}

impl Rounding {
    fn concerns(self, function: &AggregateFunction) -> bool {
        match function {
            AggregateFunction::Stddev => true,
            AggregateFunction::Percentile(percent) => self == Self::DeviationsAndPercentiles && percent % 25.0 != 0.0,
            _ => false,
        }
    }
}

/// Compares a store with an oracle that holds the same, by so many generated queries of each kind.
///
/// # Panics
/// Where an answer differs, with the seed and the request.
pub async fn compare(store: &dyn SampleSource, oracle: &MemoryStore, seed: u64, queries: usize) -> Compared {
    compare_rounding(store, oracle, seed, queries, Rounding::Deviations).await
}

/// [`compare`] for a store that rounds more.
///
/// # Panics
/// Where an answer differs, with the seed and the request.
pub async fn compare_rounding(
    store: &dyn SampleSource,
    oracle: &MemoryStore,
    seed: u64,
    queries: usize,
    rounding: Rounding,
) -> Compared {
    let mut dice = Dice::new(seed);
    let mut compared = Compared::default();
    for _ in 0..queries {
        compare_aggregate(store, oracle, generate::aggregate_request(&mut dice), rounding, &mut compared).await;
        let pages = 1 + dice.below(12);
        compare_raw(store, oracle, generate::scan_request(&mut dice), pages, &mut compared).await;
        compare_catalogue(store, oracle, &generate::catalogue_request(&mut dice), &mut compared).await;
    }
    compared
}

/// Limits that no compared query hits.
#[must_use]
pub fn ample() -> QueryContext {
    QueryContext::new(QueryLimits {
        timeout: Duration::from_secs(60),
        memory_bytes: 1 << 30,
        samples: u64::MAX >> 1,
        workers: 3,
    })
}

async fn compare_aggregate(
    store: &dyn SampleSource,
    oracle: &MemoryStore,
    mut request: AggregateRequest,
    rounding: Rounding,
    compared: &mut Compared,
) {
    let is_rounded = rounding.concerns(&request.function);
    if is_rounded {
        // The last digits would decide the order.
        request.order = GroupOrder::GroupAscending;
    }
    let expected = oracle.aggregate(&request, &ample()).await.expect("the oracle answers").expect("an aggregate");
    let context = ample();
    let plan = Plan::Aggregate(AggregatePlan { request: request.clone(), values: usize::MAX });
    let answer = execute(plan, store, &context).await.unwrap_or_else(|error| panic!("{error} for {request:#?}"));
    let Rows::Groups { groups, .. } = answer.rows else { panic!("an aggregate answers groups") };
    let found = AggregateAnswer { groups, truncated: answer.truncated };
    assert!(
        if is_rounded { is_near(&found, &expected) } else { found == expected },
        "found {found:#?}\nexpected {expected:#?}\nfor {request:#?}"
    );
    assert!(context.reserve_memory(1 << 30).is_ok(), "memory was not given back after {request:#?}");
    compared.count_aggregate(&request, &expected);
}

fn is_near(found: &AggregateAnswer, expected: &AggregateAnswer) -> bool {
    let is_near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0);
    let is_near_group = |(a, b): (&AggregateGroup, &AggregateGroup)| {
        let mut steps = a.steps.iter().zip(&b.steps);
        a.group == b.group
            && is_near(a.value, b.value)
            && a.steps.len() == b.steps.len()
            && steps.all(|(a, b)| a.0 == b.0 && is_near(a.1, b.1))
    };
    found.truncated == expected.truncated
        && found.groups.len() == expected.groups.len()
        && found.groups.iter().zip(&expected.groups).all(is_near_group)
}

async fn compare_raw(
    store: &dyn SampleSource,
    oracle: &MemoryStore,
    mut scan: ScanRequest,
    pages: usize,
    compared: &mut Compared,
) {
    let mut expected = oracle.select(&scan);
    expected
        .sort_by_cached_key(|sample| (sample.timestamp, sample.dimensions.canonical_bytes(), ordered(sample.value)));
    let limit = 1 + expected.len() / pages;
    scan.columns = ScanColumns { all_dimensions: true, timestamps: true, values: true, ..ScanColumns::default() };
    let mut found: Vec<Sample> = Vec::new();
    let mut plan = RawPlan { scan: scan.clone(), limit, after: None, fingerprint: 7 };
    loop {
        let answer = execute(Plan::Raw(plan.clone()), store, &ample()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{error} for {plan:#?}"));
        let Rows::Samples { samples, cursor } = answer.rows else { panic!("raw answers samples") };
        compared.pages += 1;
        assert!(samples.len() <= limit && answer.truncated == cursor.is_some(), "a page for {plan:#?}");
        found.extend(samples);
        let Some(cursor) = cursor else { break };
        let cursor = Cursor::decode(&cursor, 7).expect("a cursor");
        let is_between_equals = found.last() == expected.get(found.len());
        compared.pages_between_equals += usize::from(is_between_equals);
        plan.scan.time.start = cursor.position.timestamp;
        plan.after = Some(cursor.position);
        assert!(found.len() < expected.len(), "more than there is for {scan:#?}");
    }
    assert_eq!(found, expected, "for {scan:#?}");
}

/// A number that is ordered as the values are; generated values have no negative zero.
fn ordered(value: f64) -> i64 {
    (value * 4.0) as i64
}

async fn compare_catalogue(
    store: &dyn SampleSource,
    oracle: &MemoryStore,
    request: &CatalogueRequest,
    compared: &mut Compared,
) {
    let context = ample();
    let pages = [
        (store.metrics(request, &context).await, oracle.metrics(request, &context).await),
        (store.dimension_keys(request, &context).await, oracle.dimension_keys(request, &context).await),
        (
            store.dimension_values("customer", request, &context).await,
            oracle.dimension_values("customer", request, &context).await,
        ),
    ];
    for (found, expected) in pages {
        let expected = expected.expect("the oracle answers");
        assert_eq!(found.expect("the store answers"), expected, "for {request:#?}");
        compared.catalogue_entries += expected.entries.len();
    }
}

impl Compared {
    fn count_aggregate(&mut self, request: &AggregateRequest, answer: &AggregateAnswer) {
        let groups = &answer.groups;
        self.aggregates += 1;
        self.without_groups += usize::from(groups.is_empty());
        self.groups += groups.len();
        self.truncated += usize::from(answer.truncated);
        self.missing_dimensions += groups.iter().filter(|group| group.group.contains(&None)).count();
        self.equal_values += groups.windows(2).filter(|pair| pair[0].value == pair[1].value).count();
        if let Some(step) = request.step {
            let has_gap = |pair: &&[(i64, f64)]| pair[1].0 - pair[0].0 > step.width;
            self.gaps += groups.iter().map(|group| group.steps.windows(2).filter(has_gap).count()).sum::<usize>();
        }
    }
}

/// A store that computes no aggregates, so that they are computed from its scans.
pub struct ScanOnly(pub Arc<MemoryStore>);

#[async_trait]
impl SampleSource for ScanOnly {
    async fn scan(
        &self,
        request: &ScanRequest,
        context: &QueryContext,
        consumer: Arc<dyn ChunkConsumer>,
    ) -> Result<(), StorageError> {
        self.0.scan(request, context, consumer).await
    }

    async fn aggregate(&self, _: &AggregateRequest, _: &QueryContext) -> Result<Option<AggregateAnswer>, StorageError> {
        Ok(None)
    }

    async fn metrics(&self, request: &CatalogueRequest, context: &QueryContext) -> Result<CataloguePage, StorageError> {
        self.0.metrics(request, context).await
    }

    async fn dimension_keys(
        &self,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        self.0.dimension_keys(request, context).await
    }

    async fn dimension_values(
        &self,
        key: &str,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        self.0.dimension_values(key, request, context).await
    }

    async fn watermark(&self) -> Result<Receipt, StorageError> {
        self.0.watermark().await
    }

    async fn reach(&self, receipt: &Receipt) -> Result<(), ReachError> {
        self.0.reach(receipt).await
    }

    fn readable(&self) -> Result<(), String> {
        self.0.readable()
    }
}

#[cfg(test)]
mod tests {
    use luminate_model::Incarnation;
    use luminate_storage::SampleSink;

    use super::*;

    #[tokio::test]
    async fn the_executor_answers_as_the_oracle_does() {
        for seed in 0..4 {
            let store = Arc::new(MemoryStore::new());
            let (batches, occurrences) = generate::history(&mut Dice::new(seed), Incarnation([1; 16]), 3000);
            for batch in batches {
                store.write(batch).await.expect("written");
            }
            let o = &occurrences;
            let happened =
                [o.ties, o.duplicates, o.series_over_batches, o.missing_dimensions, o.expired, o.before_1970];
            assert!(happened.iter().all(|count| *count > 10), "{occurrences:?}");
            let compared = compare(&ScanOnly(Arc::clone(&store)), &store, seed, 100).await;
            let c = &compared;
            let happened = [
                c.without_groups,
                c.missing_dimensions,
                c.truncated,
                c.equal_values,
                c.gaps,
                c.pages,
                c.pages_between_equals,
                c.catalogue_entries,
            ];
            assert!(happened.iter().all(|count| *count >= 10), "{compared:?}");
        }
    }
}
