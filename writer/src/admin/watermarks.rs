//! How far each source is stored.

use axum::Json;
use axum::extract::State;
use luminate_auth::AdminAccess;
use luminate_runtime::http::{Authenticated, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use super::problems::of_queue_error;

/// How far each source is stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct Watermarks {
    /// The partitions of this writer.
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
    /// When the oldest record that was read and is not stored was appended, ms since 1970.
    oldest_open: Option<i64>,
    /// Whether the partition stands still until an operator has looked; the log says why.
    stopped: bool,
}

/// Tells how far each source is stored.
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
    Authenticated(_access): Authenticated<AdminAccess>,
    State(admin): State<Admin>,
) -> Result<Json<Watermarks>, Problem> {
    let state = admin.state();
    let mut ends = state.queue.ends().await.map_err(|error| of_queue_error(&error))?;
    ends.sort();
    let progress = state.progress.sources();
    let sources = ends.into_iter().filter_map(|(source, end)| {
        let progress = progress.get(&source)?;
        Some(Watermark {
            source: source.to_string(),
            stored: progress.stored.0,
            end: end.0,
            lag: end.0.saturating_sub(progress.stored.0),
            oldest_open: progress.oldest_open,
            stopped: progress.stopped.is_some(),
        })
    });
    Ok(Json(Watermarks { sources: sources.collect() }))
}
