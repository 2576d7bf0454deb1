//! Only results travel: what the server read and answered, as its own log has it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use luminate_model::time::DAY_MS;
use luminate_query::conformance::ample;
use luminate_storage::conformance::NOW;
use luminate_storage::conformance::collect::{Collecting, all_columns};
use luminate_storage::conformance::generate::tenant;
use luminate_storage::{
    AggregateFunction, AggregateRequest, CatalogueRequest, Direction, Earliest, GroupOrder, SampleSource, ScanRequest,
    Step,
};
use luminate_tests::engines::{ClickHouse, ClickHouseOptions, unique_name};
use luminate_tests::wait;

use crate::database::Database;

const SAMPLES: usize = 100_000;

/// A server that logs its queries.
fn logging() -> &'static ClickHouse {
    static SERVER: OnceLock<ClickHouse> = OnceLock::new();
    SERVER.get_or_init(|| {
        let config = "<query_log><database>system</database><table>query_log</table>\
                      <flush_interval_milliseconds>1000</flush_interval_milliseconds></query_log>";
        ClickHouse::start(ClickHouseOptions { config: config.to_owned(), ..ClickHouseOptions::default() })
    })
}

/// 100,000 samples of 10 hosts in 1000 series, a second apart.
fn filled() -> Database<'static> {
    let server = logging();
    let database = Database::on(server, 1, &unique_name("pushdown"));
    database.create_table(1, "samples");
    database.server.query(&format!(
        "INSERT INTO {}.samples SELECT 'acme', 'm', fromUnixTimestamp64Milli({NOW} - number * 1000, 'UTC'), number, \
         map('customer', toString(number % 1000), 'host', toString(number % 10)), 0, 'source', 0 \
         FROM numbers({SAMPLES}) SETTINGS max_partitions_per_insert_block = 10000",
        database.name
    ));
    database
}

/// What the server's log says of the queries on a database.
struct Log<'d> {
    database: &'d Database<'static>,
    asked: usize,
}

impl Log<'_> {
    /// Rows read and rows answered by the query that was answered just now: one more than was logged before. A query is logged
    /// a moment after its answer.
    fn next(&mut self) -> (u64, u64) {
        self.asked += 1;
        let of_last = format!(
            "SELECT count(), argMax(read_rows, event_time_microseconds), argMax(result_rows, event_time_microseconds) \
             FROM system.query_log WHERE type = 'QueryFinish' AND log_comment = 'acme' AND has(databases, '{}')",
            self.database.name
        );
        wait::until("the query is logged", || {
            self.database.server.query("SYSTEM FLUSH LOGS");
            let text = self.database.server.query(&of_last);
            let numbers: Vec<u64> = text.trim().split('\t').map(|number| number.parse().unwrap()).collect();
            (numbers[0] == self.asked as u64).then_some((numbers[1], numbers[2]))
        })
    }
}

#[tokio::test]
async fn as_many_rows_are_answered_as_there_are_groups() {
    let database = filled();
    let source = database.source();
    let mut log = Log { database: &database, asked: 0 };
    let functions = [
        AggregateFunction::Avg,
        AggregateFunction::Sum,
        AggregateFunction::Min,
        AggregateFunction::Max,
        AggregateFunction::Count,
        AggregateFunction::Stddev,
        AggregateFunction::Distinct { of: None },
        AggregateFunction::Distinct { of: Some("customer".to_owned()) },
        AggregateFunction::First,
        AggregateFunction::Last,
        AggregateFunction::Percentile(95.0),
    ];
    for function in functions {
        for step in [None, Some(Step { width: 3_600_000, origin: 0 })] {
            let mut request = AggregateRequest::new(ScanRequest::new(tenant("acme"), "m", NOW), function.clone());
            request.group_by = vec!["host".to_owned()];
            request.step = step;
            request.order = GroupOrder::Value(Direction::Descending);
            let context = ample();
            let answer = source.aggregate(&request, &context).await.unwrap().unwrap();
            assert_eq!(answer.groups.len(), 10, "{request:?}");
            let read = context.counters().samples_read.load(Ordering::Relaxed);
            assert_eq!((read, log.next()), (SAMPLES as u64, (SAMPLES as u64, 10)), "{request:?}");
            assert!(context.counters().bytes_read.load(Ordering::Relaxed) > 0);

            request.limit = Some(3);
            let answer = source.aggregate(&request, &ample()).await.unwrap().unwrap();
            assert!(answer.groups.len() == 3 && answer.truncated);
            assert_eq!(log.next(), (SAMPLES as u64, 4), "one more tells that there is more: {request:?}");
        }
    }
}

#[tokio::test]
async fn the_catalogue_is_counted_in_the_server() {
    let database = filled();
    let source = database.source();
    let mut log = Log { database: &database, asked: 0 };
    let request = CatalogueRequest::new(tenant("acme"), 5, NOW);
    let keys = source.dimension_keys(&request, &ample()).await.unwrap();
    assert_eq!((keys.entries.len(), log.next()), (2, (SAMPLES as u64, 2)));
    let values = source.dimension_values("customer", &request, &ample()).await.unwrap();
    assert!(values.truncated && values.entries.iter().all(|entry| entry.samples == 100));
    assert_eq!(log.next(), (SAMPLES as u64, 6));
    let metrics = source.metrics(&request, &ample()).await.unwrap();
    assert_eq!((metrics.entries.len(), log.next()), (1, (SAMPLES as u64, 1)));
}

/// Of a page of raw samples no more is read than a few granules, and no more is answered than the page.
#[tokio::test]
async fn a_bounded_scan_reads_little_more_than_it_yields() {
    let database = filled();
    let source = database.source();
    let mut log = Log { database: &database, asked: 0 };
    let mut request = ScanRequest::new(tenant("acme"), "m", NOW);
    request.columns = all_columns();
    for after in [None, Some(NOW - DAY_MS)] {
        request.time.start = after.unwrap_or(request.time.start);
        request.earliest = Some(Earliest { samples: 10, after });
        let consumer = Arc::new(Collecting::new(&request, 1));
        let scanned = Arc::clone(&consumer);
        source.scan(&request, &ample(), scanned).await.unwrap();
        let found = consumer.take();
        let expected = if after.is_some() { 11 } else { 10 };
        assert_eq!(found.len(), expected);
        let (read, answered) = log.next();
        assert_eq!(answered, expected as u64);
        assert!(read < SAMPLES as u64 / 2, "{read} rows were read");
    }
}
