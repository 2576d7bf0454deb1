//! Bodies: how they are compressed, and how large they may be.

use std::io::Write as _;

use axum::body::Body;
use luminate_runtime::config::ByteSize;
use serde_json::json;

use crate::fixture::{Fixture, metric, metrics, post};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn small() -> String {
    metrics(&[metric("a", 1.0), metric("b", 2.0)])
}

#[tokio::test]
async fn bodies_may_be_compressed() {
    let fixture = Fixture::new();
    let zstd = zstd::encode_all(small().as_bytes(), 3).unwrap();
    for (encoding, body) in [("identity", small().into_bytes()), ("gzip", gzip(small().as_bytes())), ("zstd", zstd)] {
        let answer = fixture.send(post("application/json", &[("content-encoding", encoding)], body)).await;
        assert_eq!((answer.status.as_u16(), &answer.body["accepted"]), (202, &json!(2)), "{encoding}");
    }
    assert_eq!(fixture.samples().await.len(), 6);
}

#[tokio::test]
async fn a_large_body_takes_the_same_way_on_a_thread_of_its_own() {
    let fixture = Fixture::new();
    let large = metrics(&(0..30_000).map(|n| metric("a", f64::from(n))).collect::<Vec<_>>());
    assert!(large.len() > 1 << 20);
    for (encoding, body) in [("identity", large.clone().into_bytes()), ("gzip", gzip(large.as_bytes()))] {
        let answer = fixture.send(post("application/json", &[("content-encoding", encoding)], body)).await;
        assert_eq!((answer.status.as_u16(), &answer.body["accepted"]), (202, &json!(30_000)), "{encoding}");
    }
    assert_eq!(fixture.samples().await.len(), 60_000);
}

#[tokio::test]
async fn damaged_bodies_are_refused() {
    let fixture = Fixture::new();
    let gzipped = gzip(small().as_bytes());
    let bodies = [("gzip", gzipped[..gzipped.len() - 9].to_vec()), ("gzip", small().into_bytes()), ("zstd", gzipped)];
    for (encoding, body) in bodies {
        let answer = fixture.send(post("application/json", &[("content-encoding", encoding)], body)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "content_encoding_invalid"), "{encoding}");
    }
}

#[tokio::test]
async fn a_bomb_is_stopped_at_the_limit() {
    let fixture = Fixture::configured(|config| {
        config.max_body_bytes = ByteSize::mib(1);
        config.max_decompressed_bytes = ByteSize::mib(2);
    });
    let bomb = gzip(&vec![b' '; 300 << 20]);
    assert!(bomb.len() < 1 << 20);
    let answer = fixture.send(post("application/json", &[("content-encoding", "gzip")], bomb)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (413, "decompressed_body_too_large"));
    assert_eq!(answer.body["limit"], 2 << 20);
    assert_eq!(fixture.send(post("application/json", &[], small())).await.status, 202, "the gateway lives on");
}

#[tokio::test]
async fn size_is_limited_with_and_without_its_announcement() {
    let fixture = Fixture::configured(|config| config.max_body_bytes = ByteSize::bytes(100));
    let answer = fixture.json("x".repeat(101)).await;
    assert_eq!((answer.status.as_u16(), answer.code(), &answer.body["limit"]), (413, "body_too_large", &json!(100)));
    let announced = post("application/json", &[("content-length", "101")], "{}");
    assert_eq!(fixture.send(announced).await.code(), "body_too_large");
    assert_eq!(fixture.json(format!("{:100}", "7")).await.code(), "invalid_request", "100 bytes are read");
}

#[tokio::test]
async fn samples_of_a_request_are_limited() {
    let fixture = Fixture::configured(|config| config.max_samples = 3.try_into().unwrap());
    assert_eq!(fixture.json(metrics(&vec![metric("a", 1.0); 3])).await.status, 202);
    let answer = fixture.json(metrics(&vec![metric("a", 1.0); 4])).await;
    assert_eq!((answer.status.as_u16(), answer.code(), &answer.body["limit"]), (413, "too_many_samples", &json!(3)));
    let answer = fixture.ndjson("{}\n".repeat(4)).await;
    assert_eq!(answer.code(), "too_many_samples", "invalid samples count as well");
    assert_eq!(fixture.samples().await.len(), 3);
}

#[tokio::test]
async fn content_type_and_encoding_must_be_known() {
    let fixture = Fixture::new();
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let answer = fixture.send(post(content_type, &[], small())).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (415, "content_type_unsupported"));
    }
    for encoding in ["br", "gzip, gzip"] {
        let answer = fixture.send(post("application/json", &[("content-encoding", encoding)], small())).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (415, "content_encoding_unsupported"));
        assert_eq!(answer.headers["accept-encoding"], "gzip, zstd");
    }
}

#[tokio::test]
async fn deep_json_is_refused_or_rejected_and_harmless() {
    let fixture = Fixture::new();
    let deep = "[".repeat(500_000);
    assert_eq!(fixture.json(deep.clone()).await.code(), "malformed_json");
    assert_eq!(fixture.json(format!("{{\"metrics\":{deep}")).await.code(), "malformed_json");
    assert_eq!(fixture.json(format!("{{\"metrics\":[{{\"value\":{deep}")).await.code(), "malformed_json");
    let answer = fixture.ndjson(format!("{{\"dimensions\":{deep}\n{}", metric("a", 1.0))).await;
    assert_eq!((answer.status.as_u16(), answer.errors()), (202, vec![(0, "invalid_sample".to_owned())]));
}

#[tokio::test]
async fn memory_is_refused_when_the_budget_is_used_up() {
    let fixture = Fixture::new();
    let others = fixture.budget.take(fixture.budget.limit()).unwrap();
    let request = post("application/json", &[], small());
    let response = tower::ServiceExt::oneshot(fixture.routes(), request).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    drop(others);
    assert_eq!(fixture.json(Body::from(small())).await.status, 202);
}
