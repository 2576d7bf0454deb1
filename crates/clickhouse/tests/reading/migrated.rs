//! What was written before a migration is read like what was written after it.

use luminate_clickhouse::migrate::MIGRATIONS;
use luminate_query::conformance::ample;
use luminate_storage::conformance::NOW;
use luminate_storage::conformance::batches::sample;
use luminate_storage::conformance::generate::tenant;
use luminate_storage::{AggregateFunction, AggregateRequest, SampleSource as _, ScanRequest};
use luminate_tests::engines::{ClickHouse, unique_name};

use crate::database::Database;

/// Each migration finds a part of its own; then all are merged.
#[tokio::test]
async fn parts_of_before_and_after_each_migration_are_one_table() {
    let database = Database::on(ClickHouse::shared(), 1, &unique_name("migrated"));
    let acme = tenant("acme");
    let table = format!("{}.samples", database.name);
    for migration in MIGRATIONS {
        database.migrate(1, "samples", migration.number);
        database.server.query(&format!("SYSTEM STOP MERGES {table}"));
        let name = migration.number.to_string();
        // One series that all have, and one of its own. Another key before the one that is asked for, and one without it.
        let samples = [
            sample("m", NOW - 1, 1.0, &[("a", "x"), ("host", "all")]),
            sample("m", NOW - 2, 2.0, &[("host", &name), ("z", "y")]),
            sample("m", NOW - 3, 4.0, &[("a", &name)]),
        ];
        database.insert(&acme, &samples);
    }
    let all = MIGRATIONS.len() as f64;
    for state in ["parts of their own", "merged"] {
        if state == "merged" {
            database.server.query(&format!("SYSTEM START MERGES {table}"));
            database.server.query(&format!("OPTIMIZE TABLE {table} FINAL"));
        }
        let parts = "SELECT count() FROM system.parts WHERE active AND database = '";
        let parts = database.server.query(&format!("{parts}{}'", database.name));
        let expected = if state == "merged" { "1".to_owned() } else { MIGRATIONS.len().to_string() };
        assert_eq!(parts.trim(), expected, "{state}");

        let ask = async |function, group_by: &[&str]| {
            let mut request = AggregateRequest::new(ScanRequest::new(acme.clone(), "m", NOW), function);
            request.group_by = group_by.iter().map(|key| (*key).to_owned()).collect();
            let answer = database.source().aggregate(&request, &ample()).await.unwrap().unwrap();
            answer.groups.into_iter().map(|group| (group.group, group.value)).collect::<Vec<_>>()
        };
        let groups = ask(AggregateFunction::Sum, &["host"]).await;
        let of_its_own = MIGRATIONS.iter().map(|migration| (vec![Some(migration.number.to_string())], 2.0));
        let expected: Vec<_> =
            of_its_own.chain([(vec![Some("all".to_owned())], all), (vec![None], 4.0 * all)]).collect();
        assert_eq!(groups, expected, "{state}");
        let series = ask(AggregateFunction::Distinct { of: None }, &[]).await;
        assert_eq!(series, [(vec![], 2.0 * all + 1.0)], "{state}");
    }
}
