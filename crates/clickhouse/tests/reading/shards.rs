//! Several shards are one store; a missing one is an error.

use luminate_query::conformance::{Rounding, compare_rounding};
use luminate_storage::SampleSink as _;
use luminate_storage::conformance::generate::{history, tenant};
use luminate_storage::conformance::{Dice, INCARNATION, NOW, ample};
use luminate_storage::memory::MemoryStore;
use luminate_storage::{
    AggregateFunction, AggregateRequest, CatalogueRequest, SampleSource as _, ScanRequest, StorageError,
};
use luminate_tests::engines::{ClickHouse, ClickHouseOptions};

use crate::database::Database;

fn two_shards(server: &ClickHouse) -> Database<'_> {
    let database = Database::on(server, 2, "luminate");
    for node in 1..=2 {
        database.create_table(node, "samples_local");
        server.query_on(
            node,
            "CREATE TABLE luminate.samples AS luminate.samples_local \
             ENGINE = Distributed('luminate', 'luminate', 'samples_local', cityHash64(source))",
        );
    }
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_shards_answer_as_one_store_and_one_of_them_not_at_all() {
    let server = ClickHouse::start(ClickHouseOptions { nodes: 2, ..ClickHouseOptions::default() });
    let database = two_shards(&server);
    let oracle = MemoryStore::of_incarnation(INCARNATION);
    let (batches, occurrences) = history(&mut Dice::new(7), INCARNATION, 4000);
    assert!(occurrences.series_over_batches > 50, "series lie on both shards");
    for (at, batch) in batches.into_iter().enumerate() {
        database.insert_batch(1 + at % 2, "samples_local", &batch);
        oracle.write(batch).await.unwrap();
    }
    let source = database.source();
    compare_rounding(&source, &oracle, 7, 60, Rounding::DeviationsAndPercentiles).await;

    server.kill_node(2);
    let request = AggregateRequest::new(ScanRequest::new(tenant("acme"), "latency", NOW), AggregateFunction::Count);
    let ended = source.aggregate(&request, &ample()).await;
    assert!(matches!(ended, Err(StorageError::Unavailable(_))), "{ended:?}");
    let ended = source.metrics(&CatalogueRequest::new(tenant("acme"), 10, NOW), &ample()).await;
    assert!(matches!(ended, Err(StorageError::Unavailable(_))), "{ended:?}");

    server.start_node(2);
    assert!(source.aggregate(&request, &ample()).await.is_ok());
}
