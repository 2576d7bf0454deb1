//! A store of a test's own, and batches.

use std::sync::Arc;

use luminate_clickhouse::{ClickHouseConfig, ClickHouseSink, migrate};
use luminate_model::{Incarnation, Sample, Source, TenantId};
use luminate_storage::conformance::batches::{batch, sample};
use luminate_storage::{Batch, IntentSink, Permit, StoreTarget};
use luminate_tests::engines::{ClickHouse, unique_name};

/// What these tests take for now: 2025-01-01.
pub(crate) const NOW: i64 = 1_735_689_600_000;
pub(crate) const DAY: i64 = 86_400_000;

/// A migrated database and a sink of it.
pub(crate) struct Store<'e> {
    pub(crate) engine: &'e ClickHouse,
    pub(crate) config: ClickHouseConfig,
    pub(crate) sink: ClickHouseSink,
}

impl Store<'static> {
    /// On the engine that all tests share.
    pub(crate) async fn shared() -> Self {
        Self::on(ClickHouse::shared()).await
    }
}

impl<'e> Store<'e> {
    pub(crate) async fn on(engine: &'e ClickHouse) -> Self {
        let config = config(engine);
        migrate(&config, "test", false).await.unwrap();
        Self { engine, sink: sink(&config), config }
    }

    pub(crate) async fn target(&self) -> StoreTarget {
        self.sink.target(&source(0)).await.unwrap()
    }

    pub(crate) async fn insert(&self, batch: &Batch) -> u64 {
        self.sink.insert(batch, &self.target().await, Permit::unlimited()).await.unwrap().samples
    }

    /// What a query on the database's tables answers; `samples` and `erasures` stand for their full names.
    pub(crate) fn query(&self, sql: &str) -> String {
        let database = &self.config.database;
        let sql = sql
            .replace("{samples}", &format!("{database}.samples"))
            .replace("{erasures}", &format!("{database}.erasures"));
        self.engine.query(&sql).trim_end().to_owned()
    }

    pub(crate) fn rows(&self) -> u64 {
        self.query("SELECT count() FROM {samples}").parse().unwrap()
    }
}

/// The settings of a database that no other test has.
pub(crate) fn config(engine: &ClickHouse) -> ClickHouseConfig {
    serde_json::from_value(engine.settings(&unique_name("writing"))).unwrap()
}

pub(crate) fn sink(config: &ClickHouseConfig) -> ClickHouseSink {
    ClickHouseSink::new(config.clone(), Arc::new(|| NOW)).unwrap()
}

pub(crate) fn source(partition: u32) -> Source {
    Source { incarnation: Incarnation(*b"topic under test"), partition }
}

pub(crate) fn tenant(name: &str) -> TenantId {
    #[allow(clippy::disallowed_methods)]
    TenantId::parse(name).unwrap()
}

/// Samples at times that are `step` apart.
pub(crate) fn samples(count: usize, from: i64, step: i64) -> Vec<Sample> {
    let one = |at: usize| {
        sample("m", from + at as i64 * step, at as f64, &[("host", if at.is_multiple_of(2) { "a" } else { "b" })])
    };
    (0..count).map(one).collect()
}

/// Offsets `first..next` of partition 0 with `count` samples of `acme` in the first one, all of one day.
pub(crate) fn one_day(first: u64, next: u64, count: usize) -> Batch {
    batch(source(0), first, next).with_record(&tenant("acme"), first, 0, &samples(count, NOW, 1000))
}

/// As [`one_day`], over as many days as there are samples.
pub(crate) fn many_days(first: u64, next: u64, days: usize) -> Batch {
    batch(source(0), first, next).with_record(&tenant("acme"), first, 0, &samples(days, NOW, DAY))
}
