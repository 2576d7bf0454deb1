//! The ledger of erasures.
//!
//! It is read anew for every batch before the batch's rows are planned, so an erasure that was noted before holds for every
//! insert that begins afterwards, in whichever process. An insert that read the ledger before the erasure was noted may still
//! be on its way; it is of records that the writer had not settled. Whoever erases waits for the watermarks to pass the
//! erasure's ends between noting and removing, and a watermark passes a record only when its insert is settled.

use std::collections::BTreeMap;
use std::time::Duration;

use luminate_model::{Offset, Source, TenantId};
use luminate_storage::{NotedErasure, StorageError};

use super::failure::unavailable;
use super::plan::ErasedEnds;
use crate::client::{ClientError, Host, Statement};

/// Time for noting and reading erasures.
const LIMIT: Duration = Duration::from_secs(60);

/// Sources that one statement names: a parameter may have 128 KiB, a source has at most 33 bytes.
pub(super) const SOURCES_AT_ONCE: usize = 1000;

/// What the ledger says of the records of a source from `first` on.
pub(super) async fn ends(
    host: &Host,
    database: &str,
    source: &Source,
    first: Offset,
    limit: Duration,
) -> Result<ErasedEnds, StorageError> {
    let sql = format!(
        "SELECT tenant, max(next) FROM {database}.erasures \
         WHERE source = {{source:String}} AND next > {{first:UInt64}} GROUP BY tenant"
    );
    let statement = Statement::new(sql).text("source", &source.to_string()).number("first", first.0).within(limit);
    let rows: Vec<(String, u64)> = host.rows(statement).await.map_err(unavailable)?;
    rows.into_iter().map(|(tenant, next)| Ok((parse_tenant(&tenant)?, Offset(next)))).collect()
}

/// Adds rows to the ledger. Durable when this returns; after an error some may be there, which noting them again mends.
pub(super) async fn note(
    host: &Host,
    database: &str,
    erasure: &NotedErasure,
    finished: bool,
) -> Result<(), ClientError> {
    let sql = format!(
        "INSERT INTO {database}.erasures (tenant, source, next, finished) \
         SELECT {{tenant:String}}, place.1, place.2, {{finished:Bool}} \
         FROM (SELECT arrayJoin(arrayZip({{sources:Array(String)}}, {{nexts:Array(UInt64)}})) AS place)"
    );
    for some in erasure.up_to.chunks(SOURCES_AT_ONCE) {
        let sources: Vec<String> = some.iter().map(|(source, _)| source.to_string()).collect();
        let statement = Statement::new(&sql)
            .text("tenant", erasure.tenant.as_str())
            .text("finished", if finished { "true" } else { "false" })
            .texts("sources", sources.iter().map(String::as_str))
            .numbers("nexts", some.iter().map(|(_, next)| next.0))
            .setting("async_insert", 0)
            .within(LIMIT);
        host.execute(statement).await?;
    }
    Ok(())
}

/// All erasures of all tenants, or of one; and whether each is finished.
pub(super) async fn read(
    host: &Host,
    database: &str,
    tenant: Option<&TenantId>,
) -> Result<Vec<(NotedErasure, bool)>, StorageError> {
    let sql = format!(
        "SELECT tenant, source, maxIf(next, NOT finished) AS noted, maxIf(next, finished) AS done \
         FROM {database}.erasures WHERE {{tenant:String}} IN ('', tenant) GROUP BY tenant, source ORDER BY tenant, source"
    );
    let statement = Statement::new(sql).text("tenant", tenant.map_or("", TenantId::as_str)).within(LIMIT);
    let rows: Vec<(String, String, u64, u64)> = host.rows(statement).await.map_err(unavailable)?;
    let mut erasures = BTreeMap::<TenantId, (Vec<(Source, Offset)>, bool)>::new();
    for (tenant, source, noted, done) in rows {
        let source = source.parse().map_err(|_| damaged(&format!("source `{source}`")))?;
        let (up_to, finished) = erasures.entry(parse_tenant(&tenant)?).or_insert_with(|| (Vec::new(), true));
        up_to.push((source, Offset(noted)));
        *finished &= done >= noted;
    }
    let erasures = erasures.into_iter();
    Ok(erasures.map(|(tenant, (up_to, finished))| (NotedErasure { tenant, up_to }, finished)).collect())
}

fn parse_tenant(text: &str) -> Result<TenantId, StorageError> {
    #[allow(clippy::disallowed_methods, reason = "the name comes from the store")]
    TenantId::parse(text).map_err(|_| damaged(&format!("tenant `{text}`")))
}

fn damaged(what: &str) -> StorageError {
    StorageError::Damaged(format!("the ledger of erasures names the {what}, which cannot be"))
}
