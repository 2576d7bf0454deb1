//! A database of a test's own, filled row by row.

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use luminate_clickhouse::migrate::{Form, MIGRATIONS};
use luminate_clickhouse::source::ClickHouseSource;
use luminate_clickhouse::{ClickHouseConfig, Hosts};
use luminate_model::{Receipt, Sample, TenantId};
use luminate_storage::{Batch, ReachError, StorageError, Watermarks};
use luminate_tests::engines::ClickHouse;
use serde_json::json;

/// Knows of no source.
pub(crate) struct NoSources;

#[async_trait]
impl Watermarks for NoSources {
    async fn watermark(&self) -> Result<Receipt, StorageError> {
        Ok(Receipt::default())
    }

    async fn reach(&self, _: &Receipt) -> Result<(), ReachError> {
        Ok(())
    }
}

pub(crate) struct Database<'s> {
    pub(crate) server: &'s ClickHouse,
    pub(crate) name: String,
}

impl Database<'static> {
    /// An empty one on the server that all tests share.
    pub(crate) fn new() -> Self {
        let server = ClickHouse::shared();
        let database = Self { server, name: server.database("reading") };
        database.create_table(1, "samples");
        database
    }
}

impl<'s> Database<'s> {
    /// One of this name without tables on a server of the test's own.
    pub(crate) fn on(server: &'s ClickHouse, nodes: usize, name: &str) -> Self {
        for node in 1..=nodes {
            server.query_on(node, &format!("CREATE DATABASE {name}"));
        }
        Self { server, name: name.to_owned() }
    }

    /// Makes a table of samples on a node, as all migrations together make it. Its rows stay, whatever their retention.
    pub(crate) fn create_table(&self, node: usize, table: &str) {
        for number in 1..=MIGRATIONS.len() as u32 {
            self.migrate(node, table, number);
        }
    }

    /// Applies to a table of samples what a migration has for it.
    pub(crate) fn migrate(&self, node: usize, table: &str, number: u32) {
        let migration = MIGRATIONS.iter().find(|migration| migration.number == number).expect("a migration");
        let samples = format!("{}.samples", self.name);
        for statement in Form::Single.render(migration.text, &self.name) {
            if statement.contains(&samples) {
                self.server.query_on(node, &statement.replacen(&samples, &format!("{}.{table}", self.name), 1));
            }
        }
        self.server.query_on(node, &format!("SYSTEM STOP TTL MERGES {}.{table}", self.name));
    }

    /// Applies all of a migration but what it has for the table of samples, on the first node.
    pub(crate) fn migrate_all_but_samples(&self, number: u32) {
        let migration = MIGRATIONS.iter().find(|migration| migration.number == number).expect("a migration");
        let samples = format!("{}.samples", self.name);
        let others = Form::Single.render(migration.text, &self.name).into_iter();
        others
            .filter(|statement| !statement.contains(&samples))
            .for_each(|statement| drop(self.server.query(&statement)));
    }

    pub(crate) fn config(&self) -> ClickHouseConfig {
        serde_json::from_value(self.server.settings(&self.name)).unwrap()
    }

    /// Reads it as the user of the server who may do everything.
    pub(crate) fn source(&self) -> ClickHouseSource {
        ClickHouseSource::new(Hosts::new(&self.config()).unwrap(), &self.config(), Arc::new(NoSources)).unwrap()
    }

    /// Inserts samples of a tenant that are kept for ever.
    pub(crate) fn insert(&self, tenant: &TenantId, samples: &[Sample]) {
        self.insert_rows(1, "samples", samples.iter().map(|sample| (tenant, 0, sample.clone())));
    }

    /// Inserts a batch.
    pub(crate) fn insert_batch(&self, node: usize, table: &str, batch: &Batch) {
        self.insert_rows(
            node,
            table,
            batch.records.iter().flat_map(|record| {
                record.samples.rows().map(move |row| (&record.tenant, row.retention_days(), row.to_sample()))
            }),
        );
    }

    fn insert_rows<'t>(&self, node: usize, table: &str, rows: impl IntoIterator<Item = (&'t TenantId, u16, Sample)>) {
        let mut text = format!(
            "INSERT INTO {}.{table} SELECT tenant, metric, fromUnixTimestamp64Milli(t, 'UTC'), value, dimensions, \
             days, 'source', 0 FROM input('tenant String, metric String, t Int64, value Float64, \
             dimensions Map(String, String), days UInt16') SETTINGS max_partitions_per_insert_block = 10000 \
             FORMAT JSONEachRow\n",
            self.name
        );
        let mut any = false;
        for (tenant, days, sample) in rows {
            any = true;
            let dimensions: serde_json::Map<_, _> =
                sample.dimensions.iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
            let row = json!({
                "tenant": tenant.as_str(), "metric": sample.metric, "t": sample.timestamp, "value": sample.value,
                "dimensions": dimensions, "days": days,
            });
            writeln!(text, "{row}").unwrap();
        }
        if any {
            self.server.query_on(node, &text);
        }
    }
}

/// Has parts of a table that were replaced leave the disk within seconds, for what waits for that.
pub(crate) fn delete_old_parts_soon(server: &ClickHouse, table: &str) {
    server.query(&format!(
        "ALTER TABLE {table} MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 1, \
         max_cleanup_delay_period = 1, cleanup_delay_period_random_add = 0"
    ));
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        let _ = self.server.try_query_on(1, &format!("DROP DATABASE IF EXISTS {} SYNC", self.name));
    }
}
