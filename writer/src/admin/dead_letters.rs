//! Dead letters: list, show, replay, purge.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use luminate_auth::AdminAccess;
use luminate_model::{Offset, TenantId};
use luminate_queue::{DeadLetter, DeadLetterFilter, DeadLetterId};
use luminate_runtime::http::{Authenticated, Problem};
use luminate_storage::{NotedErasure, StorageError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::input::{invalid, json_body, named_tenant, parameters, path};
use super::problems::{
    DEAD_LETTER_CUT, DEAD_LETTER_UNKNOWN, ERASURE_RUNNING, of_queue_error, of_storage_error, problem,
};
use super::{Admin, AdminState, erase};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Which dead letters to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParameters {
    /// Only this tenant's. An admin sees its own in any case.
    tenant: Option<String>,
    /// Only those with this reason code.
    code: Option<String>,
    /// At most so many, 100 unless told, 1000 at most. There may be fewer though there are more.
    limit: Option<usize>,
    /// Only those after this id.
    after: Option<String>,
}

/// Which dead letters to purge.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PurgeRequest {
    /// Only this tenant's. An admin purges its own in any case; an operator that names none purges all tenants'.
    tenant: Option<String>,
    /// Only those with this reason code.
    code: Option<String>,
}

/// How to replay a dead letter.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayRequest {
    /// Whether to replay it also where an earlier replay may have put its record back (`replay_in_doubt`).
    again: bool,
}

/// A part of the list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterList {
    /// In the order of their ids.
    dead_letters: Vec<DeadLetterSummary>,
    /// Where to go on, while there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// A dead letter without its bytes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterSummary {
    /// incarnation/partition/offset/index, the index `-` where the whole record is meant.
    id: String,
    /// Why it could not be used.
    code: String,
    /// A sentence for people.
    detail: String,
    /// Whose it is, where known.
    tenant: Option<String>,
    /// When the queue appended the record, ms since 1970.
    append_time: i64,
    /// Size of the record's value in bytes.
    size: u64,
    /// Whether bytes are missing, so that it cannot be replayed.
    cut: bool,
    /// When it was replayed last, ms since 1970.
    replayed_at: Option<i64>,
}

/// A dead letter as a whole.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterDetails {
    /// What the list shows.
    #[serde(flatten)]
    summary: DeadLetterSummary,
    /// The record's key, in base64.
    key: String,
    /// The record's headers.
    headers: Vec<HeaderDetails>,
    /// The bytes that were kept of the record's value, in base64.
    bytes: String,
}

/// A header of a record.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeaderDetails {
    /// Its name.
    name: String,
    /// Its value, in base64.
    value: String,
}

/// What became of a replay.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replayed {
    /// The partition that the record was put back into, as incarnation/partition.
    source: String,
    /// The new record's offset.
    offset: u64,
}

/// What became of a purge.
#[derive(Debug, Serialize, ToSchema)]
pub struct Purged {
    /// How many dead letters were removed.
    purged: u64,
}

/// Lists dead letters.
#[utoipa::path(
    get,
    path = "/api/v1/admin/dead-letters",
    tag = "admin",
    operation_id = "listDeadLetters",
    params(ListParameters),
    responses(
        (status = 200, description = "A part of the list.", body = DeadLetterList),
        (status = "default", description = "An error.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(
    Authenticated(access): Authenticated<AdminAccess>,
    State(admin): State<Admin>,
    query: Result<Query<ListParameters>, QueryRejection>,
) -> Result<Json<DeadLetterList>, Problem> {
    let parameters = parameters(query)?;
    let tenant = access.visible_tenant(named_tenant(parameters.tenant.as_deref())?.as_ref())?;
    let after = parameters.after.as_deref().map(parse_id).transpose()?;
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let filter = DeadLetterFilter { tenant, code: parameters.code };
    let page = admin.state().dead_letters.list(&filter, after, limit).await.map_err(|error| of_queue_error(&error))?;
    Ok(Json(DeadLetterList {
        dead_letters: page.letters.iter().map(DeadLetterSummary::of).collect(),
        after: page.after.map(|id| id.to_string()),
    }))
}

/// Shows one dead letter.
#[utoipa::path(
    get,
    path = "/api/v1/admin/dead-letters/{id}",
    tag = "admin",
    operation_id = "showDeadLetter",
    params(("id" = String, Path, description = "Its id, with `/` written as `%2F`.")),
    responses(
        (status = 200, description = "The dead letter.", body = DeadLetterDetails),
        (status = 404, description = "`dead_letter_unknown`"),
        (status = "default", description = "An error.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json")
    )
)]
pub(crate) async fn show(
    Authenticated(access): Authenticated<AdminAccess>,
    State(admin): State<Admin>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<DeadLetterDetails>, Problem> {
    let letter = visible_letter(admin.state(), &access, &path(id)?).await?;
    Ok(Json(DeadLetterDetails::of(&letter)))
}

/// Puts a dead letter's record back into its partition.
#[utoipa::path(
    post,
    path = "/api/v1/admin/dead-letters/{id}/replay",
    tag = "admin",
    operation_id = "replayDeadLetter",
    request_body = Option<ReplayRequest>,
    params(("id" = String, Path, description = "Its id, with `/` written as `%2F`.")),
    responses(
        (status = 200, description = "It was put back.", body = Replayed),
        (status = 404, description = "`dead_letter_unknown`"),
        (status = 409, description = "`dead_letter_cut`, `erasure_running`, `replay_in_doubt`"),
        (status = "default", description = "An error.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json")
    )
)]
pub(crate) async fn replay(
    Authenticated(access): Authenticated<AdminAccess>,
    State(admin): State<Admin>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Replayed>, Problem> {
    let state = admin.state();
    let request: ReplayRequest = json_body(state, &headers, body).await?;
    let letter = visible_letter(state, &access, &path(id)?).await?;
    if letter.is_cut() {
        return Err(problem(&DEAD_LETTER_CUT));
    }
    let tenant = letter.tenant.as_ref();
    let Some(_permit) = state.erasures.permit_replay(tenant).await else {
        return Err(problem(&ERASURE_RUNNING));
    };
    // Another writer's erasure is known by the ledger alone.
    if is_being_erased(state, tenant).await.map_err(|error| of_storage_error(&error))? {
        return Err(problem(&ERASURE_RUNNING));
    }
    if request.again {
        let forgotten = state.dead_letters.forget_doubtful_replay(letter.id).await;
        forgotten.map_err(|error| of_queue_error(&error))?;
    }
    let replayed = state.dead_letters.replay(letter.id, (state.clock)()).await;
    let offset = replayed.map_err(|error| of_queue_error(&error))?;
    let offset = offset.ok_or_else(|| problem(&DEAD_LETTER_UNKNOWN))?;
    erase_what_came_too_late(&admin, &letter, offset).await?;
    tracing::info!(id = %letter.id, offset = offset.0, subject = access.subject(), "dead letter replayed");
    Ok(Json(Replayed { source: letter.id.source.to_string(), offset: offset.0 }))
}

/// Removes dead letters for good.
#[utoipa::path(
    post,
    path = "/api/v1/admin/dead-letters/purge",
    tag = "admin",
    operation_id = "purgeDeadLetters",
    request_body = PurgeRequest,
    responses(
        (status = 200, description = "They were removed.", body = Purged),
        (status = "default", description = "An error.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json")
    )
)]
pub(crate) async fn purge(
    Authenticated(access): Authenticated<AdminAccess>,
    State(admin): State<Admin>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Purged>, Problem> {
    let state = admin.state();
    let request: PurgeRequest = json_body(state, &headers, body).await?;
    let tenant = access.visible_tenant(named_tenant(request.tenant.as_deref())?.as_ref())?;
    let filter = DeadLetterFilter { tenant, code: request.code };
    let purged = state.dead_letters.purge(&filter).await.map_err(|error| of_queue_error(&error))?;
    tracing::info!(purged, ?filter, subject = access.subject(), "dead letters purged");
    Ok(Json(Purged { purged }))
}

/// Whether some writer erases the tenant's data. Of no known tenant, it may be anybody's.
async fn is_being_erased(state: &AdminState, tenant: Option<&TenantId>) -> Result<bool, StorageError> {
    let unfinished = state.sink.unfinished_erasures().await?;
    Ok(unfinished.iter().any(|erasure| tenant.is_none_or(|tenant| erasure.tenant == *tenant)))
}

/// Another writer may have noted the end of the partition for an erasure after the ledger was asked and before the record was put
/// back: then the record lies behind that end, and is erased by an erasure of this writer's own.
///
/// What remains is an erasure that was noted and finished, or a store that went away, while one record was being put back.
async fn erase_what_came_too_late(admin: &Admin, letter: &DeadLetter, offset: Offset) -> Result<(), Problem> {
    let state = admin.state();
    let Some(tenant) = &letter.tenant else { return Ok(()) };
    let covers_it = |erasure: &NotedErasure| {
        let mut ends = erasure.up_to.iter();
        ends.any(|(source, end)| *source == letter.id.source && *end > offset)
    };
    match state.sink.unfinished_erasures().await {
        Ok(unfinished) if unfinished.iter().any(|one| one.tenant == *tenant && !covers_it(one)) => {
            tracing::warn!(id = %letter.id, "a dead letter was replayed while an erasure began; its tenant is erased once more");
            // In a task of its own, because this one may be dropped; and not waited for: it waits until this replay has ended.
            tokio::spawn(erase::start(admin.clone(), tenant.clone(), "replay".to_owned()));
            Err(problem(&ERASURE_RUNNING))
        }
        Ok(_) => Ok(()),
        // It was put back: an error would have it put back once more.
        Err(error) => {
            tracing::error!(id = %letter.id, %error, "nobody knows whether an erasure of the tenant began during its replay");
            Ok(())
        }
    }
}

/// A dead letter that the token may see. One that it may not see is as unknown as one that is not there.
async fn visible_letter(state: &AdminState, access: &AdminAccess, id: &str) -> Result<DeadLetter, Problem> {
    let id = parse_id(id)?;
    let letter = state.dead_letters.get(id).await.map_err(|error| of_queue_error(&error))?;
    let own = access.visible_tenant(None)?;
    letter.filter(|letter| own.is_none() || letter.tenant == own).ok_or_else(|| problem(&DEAD_LETTER_UNKNOWN))
}

fn parse_id(text: &str) -> Result<DeadLetterId, Problem> {
    text.parse().map_err(|error: luminate_queue::dead_letter::InvalidDeadLetterId| invalid(error.to_string()))
}

impl DeadLetterSummary {
    fn of(letter: &DeadLetter) -> Self {
        Self {
            id: letter.id.to_string(),
            code: letter.code.clone(),
            detail: letter.detail.clone(),
            tenant: letter.tenant.as_ref().map(ToString::to_string),
            append_time: letter.append_time,
            size: letter.full_size,
            cut: letter.is_cut(),
            replayed_at: letter.replayed_at,
        }
    }
}

impl DeadLetterDetails {
    fn of(letter: &DeadLetter) -> Self {
        let header = |(name, value): &(String, bytes::Bytes)| HeaderDetails {
            name: name.clone(),
            value: STANDARD.encode(value),
        };
        Self {
            summary: DeadLetterSummary::of(letter),
            key: STANDARD.encode(&letter.key),
            headers: letter.headers.iter().map(header).collect(),
            bytes: STANDARD.encode(&letter.bytes),
        }
    }
}
