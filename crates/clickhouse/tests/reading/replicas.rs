//! Before a query-api answers what a receipt or a cursor stands for, replicas are brought up to date; and before an erasure counts.

use std::sync::Arc;
use std::time::Duration;

use luminate_clickhouse::config::UserConfig;
use luminate_clickhouse::source::ClickHouseSource;
use luminate_clickhouse::{ClickHouseConfig, ClickHouseSink, Hosts};
use luminate_model::{Incarnation, Receipt, Source, TenantId};
use luminate_query::conformance::ample;
use luminate_runtime::clock::system_clock;
use luminate_storage::conformance::NOW;
use luminate_storage::conformance::batches::sample;
use luminate_storage::conformance::collect::{Collecting, all_columns};
use luminate_storage::conformance::generate::tenant;
use luminate_storage::{Earliest, NotedErasure, ReachError, SampleSink as _, SampleSource, ScanRequest};
use tokio::time::timeout;

use crate::database::{Database, NoSources, delete_old_parts_soon};
use crate::posing::Replicas;

fn config(database: &Database<'_>, replicas: &Replicas) -> ClickHouseConfig {
    let sync = UserConfig { username: "synchroniser".to_owned(), password: None };
    ClickHouseConfig {
        addresses: replicas.ports().iter().map(|port| format!("127.0.0.1:{port}")).collect(),
        cluster: Some("luminate".to_owned()),
        username: "reader".to_owned(),
        replica_sync: Some(sync),
        ..database.config()
    }
}

fn filled() -> (Database<'static>, TenantId) {
    let database = Database::new();
    let acme = tenant("acme");
    database.insert(&acme, &[1, 2, 3].map(|at| sample("m", NOW - at, 1.0, &[])));
    (database, acme)
}

async fn page(source: &ClickHouseSource, acme: &TenantId, after: Option<i64>) -> usize {
    let mut request = ScanRequest::new(acme.clone(), "m", NOW);
    request.columns = all_columns();
    request.earliest = Some(Earliest { samples: 1, after });
    let consumer = Arc::new(Collecting::new(&request, 1));
    source.scan(&request, &ample(), consumer.clone()).await.unwrap();
    consumer.take().len()
}

/// Who synchronised, and where, of what was said.
fn synchronised(said: &[(u16, String, String)], table: &str) -> Vec<(u16, String)> {
    let statement = format!("SYSTEM SYNC REPLICA {table} LIGHTWEIGHT");
    let mut all: Vec<_> =
        said.iter().filter(|(.., said)| *said == statement).map(|(port, user, _)| (*port, user.clone())).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_fetch_what_a_receipt_or_a_cursor_stands_for() {
    let (database, acme) = filled();
    let replicas = Replicas::two(database.server.url()).await;
    let config = config(&database, &replicas);
    let source = ClickHouseSource::new(Hosts::new(&config).unwrap(), &config, Arc::new(NoSources)).unwrap();
    let table = format!("{}.samples_local", database.name);
    let both: Vec<_> = replicas.ports().into_iter().map(|port| (port, "synchroniser".to_owned())).collect();

    assert_eq!(page(&source, &acme, None).await, 1);
    let said = replicas.said();
    assert!(said.len() == 1 && said[0].1 == "reader", "a first page without a receipt waits for nothing: {said:?}");

    source.reach(&Receipt::default()).await.unwrap();
    assert_eq!(synchronised(&replicas.said(), &table), both);

    assert_eq!(page(&source, &acme, Some(NOW - 3)).await, 2);
    let said = replicas.said();
    assert_eq!(synchronised(&said, &table), both);
    assert!(said.last().is_some_and(|(_, user, _)| user == "reader"), "it is asked afterwards: {said:?}");

    // One that is frozen or gone is not waited for long; both are.
    let ports = replicas.ports();
    *replicas.frozen.lock().unwrap() = Some(ports[1]);
    timeout(Duration::from_secs(20), source.reach(&Receipt::default())).await.expect("an end").unwrap();
    assert_eq!(synchronised(&replicas.said(), &table), [(ports[0], "synchroniser".to_owned())]);
    *replicas.frozen.lock().unwrap() = None;
    replicas.cut(ports[0]);
    source.reach(&Receipt::default()).await.unwrap();
    assert_eq!(synchronised(&replicas.said(), &table), [(ports[1], "synchroniser".to_owned())]);
    replicas.cut(ports[1]);
    let gone = source.reach(&Receipt::default()).await;
    assert!(matches!(gone, Err(ReachError::Unavailable(_))), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_synchronised_is_no_answer() {
    let (database, acme) = filled();
    let replicas = Replicas::two(database.server.url()).await;
    let config = config(&database, &replicas);
    let source = ClickHouseSource::new(Hosts::new(&config).unwrap(), &config, Arc::new(NoSources)).unwrap();
    *replicas.refusal.lock().unwrap() = Some("Code: 497. DB::Exception: synchroniser: Not enough privileges.");
    let refused = source.reach(&Receipt::default()).await;
    assert!(
        matches!(&refused, Err(ReachError::Unavailable(why)) if why.contains("Not enough privileges")),
        "{refused:?}"
    );
    assert_eq!(page(&source, &acme, None).await, 1, "without a receipt nothing was promised");
}

/// A replica that has not fetched a tenant's rows would count none, and they would stay on the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_counts_on_a_replica_that_is_up_to_date() {
    let (database, acme) = filled();
    for number in 1..=2 {
        database.migrate_all_but_samples(number);
    }
    database.server.query(&format!("RENAME TABLE {0}.samples TO {0}.samples_local", database.name));
    delete_old_parts_soon(database.server, &format!("{}.samples_local", database.name));
    let source = Source { incarnation: Incarnation([7; 16]), partition: 0 };
    let of_source = format!("ALTER TABLE {}.samples_local UPDATE source = '{source}' WHERE 1", database.name);
    database.server.query(&format!("{of_source} SETTINGS mutations_sync = 2"));
    let replicas = Replicas::two(database.server.url()).await;
    let config = config(&database, &replicas);
    let sink = ClickHouseSink::new(config, system_clock()).unwrap();
    let erasure = NotedErasure { tenant: acme.clone(), up_to: Vec::new() };
    sink.note_erasure(&erasure).await.unwrap();
    assert_eq!(sink.remove_erased(&acme).await.unwrap().samples, 3);
    let mut caught_up = Vec::new();
    let mut looked = 0;
    for (port, _, statement) in replicas.said() {
        if statement == format!("SYSTEM SYNC REPLICA {}.samples_local LIGHTWEIGHT", database.name) {
            caught_up.push(port);
        } else if statement.contains(".samples_local ") && statement.contains("WHERE") {
            looked += 1;
            assert_eq!(caught_up.last(), Some(&port), "{statement}");
        }
    }
    // Its sources, its rows, the deletion, its rows once more.
    assert_eq!((looked, caught_up.len()), (4, 2));
}
