//! Records for tests.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use bytes::Bytes;
use luminate_model::{Offset, SampleColumns, SampleColumnsBuilder, TenantId};
use luminate_queue::ConsumedRecord;

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// Samples of one metric with these timestamps, whose values tell them apart.
pub(crate) fn columns(timestamps: &[i64]) -> SampleColumns {
    let mut builder = SampleColumnsBuilder::new();
    for timestamp in timestamps {
        builder.push("metric", 0, *timestamp, *timestamp as f64, &[("host", "one")]);
    }
    builder.finish()
}

pub(crate) fn consumed(offset: u64, key: &'static str, value: impl Into<Bytes>) -> ConsumedRecord {
    ConsumedRecord {
        offset: Offset(offset),
        append_time: 1_700_000_000_000,
        key: Bytes::from_static(key.as_bytes()),
        headers: Vec::new(),
        value: value.into(),
    }
}
