//! The same queries have the same answers over ClickHouse as over the in-memory oracle.

use luminate_query::conformance::{Compared, Rounding, compare_rounding};
use luminate_storage::SampleSink as _;
use luminate_storage::conformance::generate::history;
use luminate_storage::conformance::{Dice, INCARNATION};
use luminate_storage::memory::MemoryStore;

use crate::database::Database;

/// Compared queries of each kind.
const QUERIES: usize = 100;

fn assert_interesting(compared: &Compared) {
    let c = compared;
    let happened = [c.without_groups, c.missing_dimensions, c.truncated, c.equal_values, c.gaps, c.catalogue_entries];
    assert!(happened.iter().all(|count| *count >= 3) && c.pages > c.aggregates, "{compared:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_queries_have_the_same_answers() {
    for seed in 0..3 {
        let database = Database::new();
        let oracle = MemoryStore::of_incarnation(INCARNATION);
        let (batches, _) = history(&mut Dice::new(seed), INCARNATION, 6000);
        for batch in batches {
            database.insert_batch(1, "samples", &batch);
            oracle.write(batch).await.unwrap();
        }
        let rounding = Rounding::DeviationsAndPercentiles;
        assert_interesting(&compare_rounding(&database.source(), &oracle, seed, QUERIES, rounding).await);
    }
}
