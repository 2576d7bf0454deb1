//! Who may write, and how much.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};

use crate::fixture::{Fixture, metric, metrics, post};

fn small() -> String {
    metrics(&[metric("a", 1.0), metric("b", 2.0)])
}

#[tokio::test]
async fn tokens_are_checked() {
    let fixture = Fixture::new();
    for (token, status, code) in [
        ("Bearer nonsense", 401, "token_signature_invalid"),
        ("Digest a:write", 401, "token_malformed"),
        ("Bearer acme:read", 403, "scope_missing"),
        ("Bearer acme:admin", 403, "scope_missing"),
    ] {
        let answer = fixture.send(post("application/json", &[("authorization", token)], small())).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{token}");
    }
    assert!(fixture.stored().await.is_empty());
    assert_eq!(fixture.metrics.write_requests.get(), 4, "refused requests count as well");
}

#[tokio::test]
async fn the_tenant_is_the_tokens() {
    let fixture = Fixture::new();
    for tenant in ["acme", "other"] {
        let token = format!("Bearer {tenant}:write");
        let answer = fixture.send(post("application/json", &[("authorization", &token)], small())).await;
        assert_eq!(answer.status, 202);
    }
    let mut keys: Vec<_> = fixture.stored().await.into_iter().map(|record| record.key).collect();
    keys.sort();
    assert_eq!(keys, ["acme/0", "other/0"]);
}

/// A body that notes when it is read.
struct Watched(Arc<AtomicBool>);

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        self.0.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    }
}

#[tokio::test]
async fn nothing_of_a_strangers_body_is_read() {
    let fixture = Fixture::new();
    for (token, is_read) in [("Bearer nonsense", false), ("Bearer acme:read", false), ("Bearer acme:write", true)] {
        let was_read = Arc::new(AtomicBool::new(false));
        let body = Body::new(Watched(Arc::clone(&was_read)));
        fixture.send(post("application/json", &[("authorization", token)], body)).await;
        assert_eq!(was_read.load(Ordering::Relaxed), is_read, "{token}");
    }
}

#[tokio::test]
async fn requests_per_second_are_limited_for_each_tenant() {
    let fixture = Fixture::configured(|config| {
        config.rate_limit.requests_per_second = Some(1.try_into().unwrap());
        config.rate_limit.unavailable_for = vec!["prometheus".to_owned()];
    });
    for (tenant, refused) in [("acme", 429), ("prometheus", 503)] {
        let token = format!("Bearer {tenant}:write");
        let send = || fixture.send(post("application/json", &[("authorization", &token)], small()));
        assert_eq!(send().await.status, 202);
        let answer = send().await;
        assert_eq!((answer.status.as_u16(), answer.code()), (refused, "rate_limited"));
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(answer.headers.contains_key("ratelimit") && answer.headers.contains_key("ratelimit-policy"));
    }
    assert_eq!(fixture.metrics.rate_limit_exceeded.get(), 2);
}

#[tokio::test]
async fn samples_per_second_are_limited_and_the_largest_request_passes() {
    let fixture = Fixture::configured(|config| {
        config.rate_limit.samples_per_second = Some(1.try_into().unwrap());
        config.max_samples = 10.try_into().unwrap();
    });
    assert_eq!(fixture.json(metrics(&vec![metric("a", 1.0); 10])).await.status, 202);
    let answer = fixture.json(metrics(&[metric("a", 1.0)])).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (429, "rate_limited"));
    assert_eq!(fixture.samples().await.len(), 10, "a refused request stores nothing");
}
