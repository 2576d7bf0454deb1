//! Erasing a tenant's data: samples, dead letters, and what the queue still holds.
//!
//! It may take long, since the writer must first have passed what the queue holds; so it runs by itself, and clients ask
//! how far it is.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use luminate_auth::AdminAccess;
use luminate_model::{Offset, Source, TenantId};
use luminate_queue::{DeadLetterFilter, QueueError};
use luminate_runtime::http::{Authenticated, Problem};
use luminate_storage::StorageError;
use serde::Deserialize;
use utoipa::ToSchema;

use super::erasures::{Begun, Erasure, ErasureStatus};
use super::input::{json_body, named_tenant, path};
use super::problems::{ERASURE_UNKNOWN, ERASURES_TOO_MANY, of_queue_error, problem};
use super::{Admin, AdminState};
use crate::progress::StoppedPartition;

/// Whose data to erase.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EraseRequest {
    /// The tenant. An admin may leave it out: it can erase its own only.
    tenant: Option<String>,
}

/// Why an erasure did not come to its end.
#[derive(Debug, thiserror::Error)]
enum EraseError {
    #[error("the queue failed")]
    Queue(#[from] QueueError),
    #[error("the store failed")]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Stopped(#[from] StoppedPartition),
}

/// Begins to erase a tenant's data, as of now. Samples that arrive later stay.
#[utoipa::path(
    post,
    path = "/api/v1/admin/erase",
    tag = "admin",
    operation_id = "beginErasure",
    request_body = EraseRequest,
    responses(
        (status = 202, description = "It runs; ask for its id.", body = Erasure),
        (status = 503, description = "`erasures_too_many`"),
        (status = "default", description = "An error.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json")
    )
)]
pub(crate) async fn begin(
    Authenticated(access): Authenticated<AdminAccess>,
    State(admin): State<Admin>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Erasure>), Problem> {
    let state = admin.state();
    let request: EraseRequest = json_body(state, &headers, body).await?;
    let tenant = access.tenant(named_tenant(request.tenant.as_deref())?.as_ref())?;
    let erasure = match state.erasures.begin(&tenant, (state.clock)()).await {
        Begun::New(erasure) => {
            tracing::info!(%tenant, id = erasure.id, subject = access.subject(), "erasure begins");
            // Before the answer: what is acknowledged after it stays.
            let ends = state.queue.ends().await.map_err(|error| {
                state.erasures.forget(&erasure.id);
                of_queue_error(&error)
            })?;
            tokio::spawn(run(admin.clone(), erasure.id.clone(), tenant, ends));
            erasure
        }
        Begun::Running(erasure) => erasure,
        Begun::TooMany => {
            return Err(problem(&ERASURES_TOO_MANY).retry_after(std::time::Duration::from_secs(10)));
        }
    };
    Ok((StatusCode::ACCEPTED, Json(erasure)))
}

/// Tells how far an erasure is.
#[utoipa::path(
    get,
    path = "/api/v1/admin/erase/{id}",
    tag = "admin",
    operation_id = "showErasure",
    params(("id" = String, Path, description = "The id that its beginning answered.")),
    responses(
        (status = 200, description = "Where it stands.", body = Erasure),
        (status = 404, description = "`erasure_unknown`"),
        (status = "default", description = "An error.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json")
    )
)]
pub(crate) async fn status(
    Authenticated(access): Authenticated<AdminAccess>,
    State(admin): State<Admin>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Erasure>, Problem> {
    let own = access.visible_tenant(None)?;
    let erasure = admin.state().erasures.get(&path(id)?);
    let visible = erasure.filter(|erasure| own.is_none_or(|own| erasure.tenant == own.as_str()));
    visible.map(Json).ok_or_else(|| problem(&ERASURE_UNKNOWN))
}

async fn run(admin: Admin, id: String, tenant: TenantId, ends: Vec<(Source, Offset)>) {
    let state = admin.state();
    let outcome = erase(state, &id, &tenant, &ends).await;
    match &outcome {
        Ok(()) => tracing::info!(%tenant, id, "erasure done"),
        Err(error) => {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(%tenant, id, %error, cause, "erasure failed; begin it again to finish it");
        }
    }
    state.erasures.update(&id, |erasure| match outcome {
        Ok(()) => {
            erasure.status = ErasureStatus::Done;
            erasure.detail = "all is erased".to_owned();
        }
        Err(error) => {
            erasure.status = ErasureStatus::Failed;
            erasure.detail = error.to_string();
        }
    });
}

/// The order matters. No dead letter is replayed from the beginning on, so what the queue holds before `ends` is all that can
/// still bring samples or dead letters of before. The store goes first: it notes the ends, and from then on stores nothing
/// that they cover, so what waits in the queue vanishes when its turn comes; and on a full disk that makes the room which
/// the queue needs to move on.
async fn erase(state: &AdminState, id: &str, tenant: &TenantId, ends: &[(Source, Offset)]) -> Result<(), EraseError> {
    let says = |detail: &str| state.erasures.update(id, |erasure| erasure.detail = detail.to_owned());

    says("removing samples");
    let erased = state.sink.erase(tenant, ends).await?;
    state.erasures.update(id, |erasure| erasure.samples = erased.samples);

    says("waiting until what the queue holds has passed");
    state.progress.reach(ends).await?;

    says("removing dead letters");
    let filter = DeadLetterFilter { tenant: Some(tenant.clone()), code: None };
    let dead_letters = state.dead_letters.purge(&filter).await?;
    state.erasures.update(id, |erasure| erasure.dead_letters = dead_letters);

    says("removing what the queue has left on disk");
    state.queue.scrub().await?;
    Ok(())
}
