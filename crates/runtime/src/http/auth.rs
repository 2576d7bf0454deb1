//! Tokens from requests, and handlers that receive the access that was checked.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{FromRef, FromRequestParts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use luminate_auth::{AuthError, AuthErrorKind, Grant, Principal, TokenVerifier};

use super::codes;
use super::problem::Problem;

/// Who checks tokens. A service keeps it in its state. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator(Arc<dyn TokenVerifier>);

/// An access that the request's token grants; the argument of a handler:
///
/// ```
/// # use axum::{Router, body::Body, routing::post};
/// # use luminate_auth::WriteAccess;
/// # use luminate_runtime::http::{Authenticated, Authenticator};
/// async fn write(Authenticated(access): Authenticated<WriteAccess>, body: Body) -> String {
///     format!("for {}", access.tenant())
/// }
///
/// fn routes(authenticator: Authenticator) -> Router {
///     Router::new().route("/api/v1/write", post(write)).with_state(authenticator)
/// }
/// ```
///
/// Axum extracts what stands before the body first, so nothing of a body is read, let alone decompressed, for a stranger.
#[derive(Debug, Clone)]
pub struct Authenticated<A>(pub A);

impl Authenticator {
    /// Checks tokens with this verifier.
    #[must_use]
    pub fn new(verifier: Arc<dyn TokenVerifier>) -> Self {
        Self(verifier)
    }

    /// Who sends a request with these headers: for APIs that have their own form of errors.
    ///
    /// # Errors
    /// [`AuthError`] where there is no token, or one that cannot be believed.
    pub fn principal(&self, headers: &HeaderMap) -> Result<Principal, AuthError> {
        self.0.verify(&token(headers)?, SystemTime::now())
    }

    /// The access that a request with these headers has: for APIs that have their own form of errors.
    ///
    /// # Errors
    /// [`AuthError`] where there is no token, one that cannot be believed, or one that does not allow this.
    pub fn access<A: Grant>(&self, headers: &HeaderMap) -> Result<A, AuthError> {
        A::to(&self.principal(headers)?)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

impl<A, S> FromRequestParts<S> for Authenticated<A>
where
    A: Grant + Send,
    S: Send + Sync,
    Authenticator: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(Authenticator::from_ref(state).access(&parts.headers)?))
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let problem = Self::new(codes::of_auth_error(&error)).detail(error.to_string());
        match challenge(&error) {
            Some(challenge) => problem.header(WWW_AUTHENTICATE, challenge),
            None => problem,
        }
    }
}

/// `WWW-Authenticate` as RFC 6750 has it. The code stands for the description, because a header takes no free text.
fn challenge(error: &AuthError) -> Option<HeaderValue> {
    let text = match (error.kind(), error) {
        (_, AuthError::TokenMissing) => "Bearer realm=\"luminate\"".to_owned(),
        (_, AuthError::ScopeMissing { needed }) => {
            format!("Bearer realm=\"luminate\", error=\"insufficient_scope\", scope=\"{needed}\"")
        }
        (AuthErrorKind::Unauthenticated, _) => {
            format!("Bearer realm=\"luminate\", error=\"invalid_token\", error_description=\"{}\"", error.code())
        }
        (AuthErrorKind::Forbidden | AuthErrorKind::Incomplete, _) => return None,
    };
    HeaderValue::from_str(&text).ok()
}

/// The token of `Authorization: Bearer <token>`, or of Basic with the token as password and any user, because some clients can do
/// nothing else.
fn token(headers: &HeaderMap) -> Result<String, AuthError> {
    let malformed = |reason| AuthError::TokenMalformed { reason };
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthError::TokenMissing)?;
    if values.next().is_some() {
        return Err(malformed("there are two `Authorization` headers"));
    }
    let value = value.to_str().map_err(|_| malformed("`Authorization` is not ASCII"))?;
    let (scheme, credentials) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    let credentials = credentials.trim();
    if credentials.is_empty() {
        return Err(AuthError::TokenMissing);
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(credentials.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed("`Authorization` is neither Bearer nor Basic"));
    }
    let decoded = STANDARD.decode(credentials).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((_, "")) => Err(AuthError::TokenMissing),
        Some((_, password)) => Ok(password.to_owned()),
        None => Err(malformed("Basic credentials are not base64 of `user:token`")),
    }
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
