//! Erasing a tenant's data: samples, dead letters, and what the queue still holds.
//!
//! It may take long, since the writer must first have passed what the queue holds; so it runs by itself, and clients ask
//! how far it is. It stands in the store's ledger before its beginning is answered, so that a crash does not forget it: the
//! next start goes on with it.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use luminate_auth::AdminAccess;
use luminate_model::{Offset, Receipt, Source, TenantId};
use luminate_queue::{DeadLetterFilter, QueueError};
use luminate_runtime::http::{Authenticated, Problem, codes};
use luminate_storage::{NotedErasure, ReachError, StorageError};
use serde::Deserialize;
use utoipa::ToSchema;

use super::erasures::{Erasure, ErasureStatus, HeldReplays};
use super::input::{json_body, named_tenant, path};
use super::problems::{ERASURE_UNKNOWN, ERASURES_TOO_MANY, of_queue_error, of_storage_error, problem};
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
    #[error(transparent)]
    NeverReached(#[from] ReachError),
}

/// How long after the store could not tell what is unfinished it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Begins to erase a tenant's data, as of now. Samples that arrive later stay. Where an earlier erasure of the tenant runs,
/// this one waits for its turn.
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
    let subject = access.subject().to_owned();
    // In a task of its own: a client that leaves takes the request with it, and what has begun must come to an end.
    let begun = tokio::spawn(start(admin.clone(), tenant, subject)).await;
    let erasure = begun.map_err(|_| codes::internal())??;
    Ok((StatusCode::ACCEPTED, Json(erasure)))
}

/// Begins an erasure as of now: it is noted, and goes on by itself, when this returns.
pub(super) async fn start(admin: Admin, tenant: TenantId, subject: String) -> Result<Erasure, Problem> {
    let state = admin.state();
    let Some(erasure) = state.erasures.begin(&tenant, (state.clock)()).await else {
        return Err(problem(&ERASURES_TOO_MANY).retry_after(Duration::from_secs(10)));
    };
    tracing::info!(%tenant, id = erasure.id, subject, "erasure begins");
    let forget = |problem| {
        state.erasures.forget(&erasure.id);
        problem
    };
    // Both before the answer: what is acknowledged after it stays, and what was before it goes, whatever happens.
    let up_to = state.queue.ends().await.map_err(|error| forget(of_queue_error(&error)))?;
    let noted = NotedErasure { tenant, up_to };
    state.sink.note_erasure(&noted).await.map_err(|error| forget(of_storage_error(&error)))?;
    tokio::spawn(run(admin.clone(), erasure.id.clone(), noted));
    Ok(erasure)
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

/// Goes on with the erasures that another process has noted and not finished. No dead letter is replayed before they are
/// known.
pub(super) async fn go_on(admin: Admin, held: HeldReplays) {
    let state = admin.state();
    let unfinished = loop {
        match state.sink.unfinished_erasures().await {
            Ok(unfinished) => break unfinished,
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "the store does not tell which erasures are unfinished");
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    };
    for noted in unfinished {
        let Some(erasure) = state.erasures.go_on(&held, &noted.tenant, (state.clock)()) else {
            tracing::error!(tenant = %noted.tenant, "too many erasures are unfinished; begin this one again");
            continue;
        };
        tracing::info!(tenant = %noted.tenant, id = erasure.id, "erasure goes on");
        tokio::spawn(run(admin.clone(), erasure.id, noted));
    }
}

async fn run(admin: Admin, id: String, noted: NotedErasure) {
    let state = admin.state();
    let tenant = &noted.tenant;
    state.erasures.turn(&id).await;
    let outcome = erase(state, &id, &noted).await;
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

/// The order matters. No dead letter is replayed from the beginning on, so what the queue holds before the noted ends is all
/// that can still bring samples or dead letters of before, and the store takes nothing that the noted ends cover.
///
/// A store of one step goes first: on a full disk that makes the room which the queue needs to move on. One that writers share
/// goes after the queue has passed, because until then a batch may be under way that was made before the erasure was noted. Dead
/// letters are removed once before, since where they have no more room the queue cannot move on.
async fn erase(state: &AdminState, id: &str, noted: &NotedErasure) -> Result<(), EraseError> {
    let says = |detail: &str| state.erasures.update(id, |erasure| erasure.detail = detail.to_owned());
    let is_shared = state.sink.intents().is_some();
    if !is_shared {
        says("removing samples");
        remove_samples(state, id, noted).await?;
    }

    says("removing dead letters");
    let filter = DeadLetterFilter { tenant: Some(noted.tenant.clone()), code: None };
    let before = state.dead_letters.purge(&filter).await?;

    says("waiting until what the queue holds has passed");
    reach(state, noted).await?;
    if is_shared {
        says("removing samples");
        remove_samples(state, id, noted).await?;
    }

    says("removing dead letters");
    let dead_letters = before + state.dead_letters.purge(&filter).await?;
    state.erasures.update(id, |erasure| erasure.dead_letters = dead_letters);

    says("removing what the queue has left on disk");
    state.queue.scrub().await?;
    state.sink.finish_erasure(noted).await?;
    Ok(())
}

async fn remove_samples(state: &AdminState, id: &str, noted: &NotedErasure) -> Result<(), StorageError> {
    let erased = state.sink.remove_erased(&noted.tenant).await?;
    state.erasures.update(id, |erasure| erasure.samples = erased.samples);
    Ok(())
}

/// Waits until all writers have passed what the queue held.
///
/// A ledger that is shared, or older than a topic that was made again, also names sources that are not this queue's. They bring
/// nothing here, and nobody ever passes them.
async fn reach(state: &AdminState, noted: &NotedErasure) -> Result<(), EraseError> {
    let ends = state.queue.ends().await?;
    let is_own = |(source, _): &&(Source, Offset)| ends.iter().any(|(known, _)| known == source);
    let own = noted.up_to.iter().filter(is_own).copied();
    match &state.watermarks {
        None => Ok(state.progress.reach(&own.collect::<Vec<_>>()).await?),
        Some(watermarks) => {
            let mut ends = Receipt::default();
            own.for_each(|(source, end)| ends.add(source, end));
            Ok(watermarks.reach(&ends).await?)
        }
    }
}
