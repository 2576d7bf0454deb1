//! How far each source is stored, whichever writer has it.

use axum::Json;
use axum::extract::State;
use luminate_auth::AdminAccess;
use luminate_model::Receipt;
use luminate_queue::QueueError;
use luminate_runtime::http::{Authenticated, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use super::problems::of_queue_error;

/// How far each source is stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct Watermarks {
    /// The partitions of all writers, in the order of their sources.
    sources: Vec<Watermark>,
}

/// How far one source is stored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Watermark {
    /// incarnation/partition.
    source: String,
    /// Everything before this offset is stored.
    stored: u64,
    /// The offset of the next record that is appended.
    end: u64,
    /// Records between the two.
    lag: u64,
    /// Whether the writer that answers has the partition. What follows is known of its own partitions alone.
    here: bool,
    /// When the oldest record that was read and is not stored was appended, ms since 1970.
    oldest_open: Option<i64>,
    /// Whether the partition stands still until an operator has looked; the log says why.
    stopped: Option<bool>,
}

/// Tells how far each source is stored, whichever writer has it. An admin sees the sources that all tenants share and those of
/// its own tenant's topic.
#[utoipa::path(
    get,
    path = "/api/v1/admin/watermarks",
    tag = "admin",
    operation_id = "showWatermarks",
    responses(
        (status = 200, description = "How far each source is stored.", body = Watermarks),
        (status = "default", description = "An error.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json")
    )
)]
pub(crate) async fn watermarks(
    Authenticated(access): Authenticated<AdminAccess>,
    State(admin): State<Admin>,
) -> Result<Json<Watermarks>, Problem> {
    let state = admin.state();
    let mut ends = state.queue.ends().await.map_err(|error| of_queue_error(&error))?;
    ends.sort();
    if let Some(own) = access.visible_tenant(None)? {
        ends.retain(|(source, _)| state.queue.owner(*source).is_none_or(|owner| owner == own));
    }
    let of_all = of_all_writers(&admin).await?;
    let own = state.progress.sources();
    let sources = ends.into_iter().filter_map(|(source, end)| {
        let progress = own.get(&source);
        let known = of_all.places().binary_search_by_key(&source, |(source, _)| *source).ok();
        let committed = known.and_then(|at| of_all.places().get(at)).map(|(_, next)| *next);
        // What is stored is committed a moment later.
        let stored = committed.max(progress.map(|progress| progress.stored))?;
        Some(Watermark {
            source: source.to_string(),
            stored: stored.0,
            end: end.0,
            lag: end.0.saturating_sub(stored.0),
            here: progress.is_some(),
            oldest_open: progress.and_then(|progress| progress.oldest_open),
            stopped: progress.map(|progress| progress.stopped.is_some()),
        })
    });
    Ok(Json(Watermarks { sources: sources.collect() }))
}

/// What the writers have said together; nothing where this writer has all partitions.
async fn of_all_writers(admin: &Admin) -> Result<Receipt, Problem> {
    let Some(watermarks) = &admin.state().watermarks else { return Ok(Receipt::default()) };
    // Behind them is the queue.
    let asked = watermarks.watermark().await;
    asked.map_err(|error| of_queue_error(&QueueError::Unavailable(error.to_string())))
}
