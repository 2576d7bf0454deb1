//! Tests of tokens in requests.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http::{Request, StatusCode};
use luminate_auth::{AdminAccess, Hs256Signer, Hs256Verifier, Scope, Scopes, Secret, Validity, WriteAccess};
use luminate_model::TenantId;
use tower::ServiceExt as _;

use super::*;

fn secret() -> Secret {
    Secret::new("0123456789abcdef0123456789abcdef")
}

fn authenticator() -> Authenticator {
    Authenticator::new(Arc::new(Hs256Verifier::new(&secret()).unwrap()))
}

fn token_of(scope: Scope) -> String {
    let principal = Principal::new("robot", Some(TenantId::parse("acme").unwrap()), Scopes::NONE.with(scope)).unwrap();
    let validity = Validity { not_before: None, expires: SystemTime::now() + Duration::from_secs(60) };
    Hs256Signer::new(&secret()).unwrap().sign(&principal, &validity).unwrap()
}

fn authorization(values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())).collect()
}

async fn status_and_challenge(authorization: Option<String>) -> (StatusCode, Option<String>, String) {
    async fn write(Authenticated(access): Authenticated<WriteAccess>, body: String) -> String {
        format!("{} wrote {body}", access.tenant())
    }
    let routes = Router::new().route("/write", post(write)).with_state(authenticator());
    let mut request = Request::post("/write");
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    let response = routes.oneshot(request.body(Body::from("it")).unwrap()).await.unwrap();
    let challenge = response.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned());
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
    (status, challenge, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_handler_receives_the_access_of_the_token() {
    let (status, _, body) = status_and_challenge(Some(format!("Bearer {}", token_of(Scope::Write)))).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "acme wrote it"));
}

#[tokio::test]
async fn strangers_are_challenged() {
    let (status, challenge, body) = status_and_challenge(None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(challenge.unwrap(), "Bearer realm=\"luminate\"");
    assert!(body.contains("\"code\":\"token_missing\""), "{body}");

    let (status, challenge, body) = status_and_challenge(Some("Bearer a.b.c".to_owned())).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(challenge.unwrap().ends_with("error=\"invalid_token\", error_description=\"token_malformed\""));
    assert!(body.contains("\"code\":\"token_malformed\""), "{body}");
}

#[tokio::test]
async fn who_may_not_is_told_the_scope() {
    let (status, challenge, body) = status_and_challenge(Some(format!("Bearer {}", token_of(Scope::Read)))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(challenge.unwrap().ends_with("error=\"insufficient_scope\", scope=\"write\""));
    assert!(body.contains("lacks the scope `write`"), "{body}");
}

#[test]
fn tokens_come_as_bearer_or_as_the_password_of_basic() {
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    for value in ["Bearer T", "bearer T", "  BEARER   T  ", &basic("any:T"), &basic(":T")] {
        assert_eq!(token(&authorization(&[value])).unwrap(), "T", "{value}");
    }
    assert_eq!(token(&authorization(&[&basic("user:with:colon")])).unwrap(), "with:colon");
}

#[test]
fn what_carries_no_token_is_missing_or_malformed() {
    let code = |values: &[&str]| token(&authorization(values)).unwrap_err().code();
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    assert_eq!(code(&[]), "token_missing");
    assert_eq!(code(&["Bearer"]), "token_missing");
    assert_eq!(code(&["Bearer  "]), "token_missing");
    assert_eq!(code(&[&basic("user:")]), "token_missing");
    assert_eq!(code(&["Digest x"]), "token_malformed");
    assert_eq!(code(&["Basic !!"]), "token_malformed");
    assert_eq!(code(&[&basic("no colon")]), "token_malformed");
    assert_eq!(code(&["Bearer a", "Bearer b"]), "token_malformed");
}

#[test]
fn other_apis_can_ask_for_an_access_themselves() {
    let headers = authorization(&[&format!("Bearer {}", token_of(Scope::Admin))]);
    assert!(authenticator().access::<AdminAccess>(&headers).is_ok());
    assert_eq!(authenticator().access::<WriteAccess>(&headers).unwrap_err().code(), "scope_missing");
}
