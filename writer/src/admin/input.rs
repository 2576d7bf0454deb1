//! Parameters and bodies of operators' requests.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::extract::rejection::{PathRejection, QueryRejection};
use http::HeaderMap;
use luminate_model::TenantId;
use luminate_runtime::http::{BodyLimits, Problem, read_limited};
use serde::de::DeserializeOwned;

use super::AdminState;
use super::problems::ADMIN_REQUEST_INVALID;

const BODY_LIMITS: BodyLimits = BodyLimits { max_bytes: 64 << 10, deadline: Duration::from_secs(10) };

/// Reads a JSON body; an empty one is `{}`.
pub(super) async fn json_body<T: DeserializeOwned>(
    state: &AdminState,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Problem> {
    let body = read_limited(headers, body, &BODY_LIMITS, &state.budget).await?;
    let bytes = if body.bytes.is_empty() { b"{}".as_slice() } else { &body.bytes };
    // Without this look an array would be taken for the members in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(invalid("the body: expected an object".to_owned()));
    }
    serde_json::from_slice(bytes).map_err(|error| invalid(format!("the body: {error}")))
}

pub(super) fn parameters<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query.map(|Query(parameters)| parameters).map_err(|error| invalid(error.body_text()))
}

pub(super) fn path<T>(path: Result<axum::extract::Path<T>, PathRejection>) -> Result<T, Problem> {
    path.map(|axum::extract::Path(value)| value).map_err(|error| invalid(error.body_text()))
}

/// The tenant that a request names. Naming one gives no access: the token decides about that.
pub(super) fn named_tenant(name: Option<&str>) -> Result<Option<TenantId>, Problem> {
    #[allow(clippy::disallowed_methods, reason = "an operator names tenants; AdminAccess judges whether it may")]
    let parse = |name| TenantId::parse(name).map_err(|error| invalid(error.to_string()));
    name.map(parse).transpose()
}

pub(super) fn invalid(detail: String) -> Problem {
    Problem::new(&ADMIN_REQUEST_INVALID).detail(detail)
}
