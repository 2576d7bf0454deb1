//! Tests of the middleware.
#![allow(clippy::unwrap_used, clippy::panic)]

use axum::body::Body;
use axum::routing::{get, post};
use http::header::ALLOW;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::telemetry::Process;

struct Setup {
    routes: Router,
    metrics: Metrics,
}

fn setup() -> Setup {
    let routes = Router::new()
        .route("/things/{id}", get(|| async { "a thing" }))
        .route(
            "/panic",
            post(|| async {
                if true {
                    panic!("swordfish")
                }
            }),
        )
        .route("/id", get(|axum::Extension(id): axum::Extension<RequestId>| async move { id.as_str().to_owned() }))
        .route("/forever", get(std::future::pending::<()>))
        .route("/problem", get(|| async { codes::internal() }));
    let metrics = Metrics::new(&Process::ALL).unwrap();
    Setup { routes: with_standard_layers(routes, &metrics), metrics }
}

impl Setup {
    async fn send(&self, request: http::request::Builder) -> Response {
        self.routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn scraped(&self) -> String {
        self.metrics.render().unwrap()
    }
}

async fn text_of(response: Response) -> String {
    let body = axum::body::to_bytes(response.into_body(), 65_536).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn json_of(response: Response) -> Value {
    serde_json::from_str(&text_of(response).await).unwrap()
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let setup = setup();
    for path in ["/things/1", "/things/2", "/no/such/path", "/nor/this"] {
        setup.send(http::Request::get(path)).await;
    }
    setup.send(http::Request::builder().method("BREW").uri("/things/1")).await;
    let scraped = setup.scraped();
    for line in [
        r#"luminate_http_requests_total{method="GET",path="/things/{id}",status="200"} 2"#,
        r#"luminate_http_requests_total{method="GET",path="unmatched",status="404"} 2"#,
        r#"luminate_http_requests_total{method="other",path="/things/{id}",status="405"} 1"#,
        r#"luminate_http_request_duration_seconds_count{method="GET",path="/things/{id}"} 2"#,
        r#"luminate_http_problems_total{code="not_found"} 2"#,
        r#"luminate_http_problems_total{code="method_not_allowed"} 1"#,
    ] {
        assert!(scraped.lines().any(|found| found == line), "missing: {line}\nin:\n{scraped}");
    }
    assert!(!scraped.contains("/things/1") && !scraped.contains("/no/such"));
}

#[tokio::test]
async fn a_request_whose_client_left_is_counted() {
    let setup = setup();
    let mut request = Box::pin(setup.send(http::Request::get("/forever")));
    assert!(std::future::poll_fn(|context| Poll::Ready(request.as_mut().poll(context))).await.is_pending());
    assert!(!setup.scraped().contains("/forever"));
    drop(request);
    assert!(setup.scraped().contains(r#"luminate_http_requests_total{method="GET",path="/forever",status="499"} 1"#));
}

#[tokio::test]
async fn a_panic_is_an_internal_problem_that_tells_nothing() {
    let setup = setup();
    let response = setup.send(http::Request::post("/panic")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let text = text_of(response).await;
    assert!(text.contains("\"code\":\"internal\"") && !text.contains("swordfish"), "{text}");
    assert!(setup.scraped().contains(r#"luminate_http_requests_total{method="POST",path="/panic",status="500"} 1"#));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let setup = setup();
    let response = setup.send(http::Request::get("/nowhere")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(json_of(response).await["code"], "not_found");

    let response = setup.send(http::Request::delete("/things/1")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[ALLOW], "GET,HEAD");
    assert_eq!(json_of(response).await["code"], "method_not_allowed");
}

#[tokio::test]
async fn every_answer_has_an_id_and_no_type_to_guess() {
    let setup = setup();
    for path in ["/things/1", "/nowhere", "/problem"] {
        let response = setup.send(http::Request::get(path)).await;
        assert!(!response.headers()[X_REQUEST_ID].is_empty(), "{path}");
        assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    }
}

#[tokio::test]
async fn a_clients_id_is_kept_where_it_is_harmless() {
    let setup = setup();
    let response = setup.send(http::Request::get("/id").header(X_REQUEST_ID, "abc-1.2:3_x")).await;
    assert_eq!(response.headers()[X_REQUEST_ID], "abc-1.2:3_x");
    assert_eq!(text_of(response).await, "abc-1.2:3_x");
    for harmful in ["", "a b", "a\"b", "a/b", &"x".repeat(129)] {
        let response = setup.send(http::Request::get("/id").header(X_REQUEST_ID, harmful)).await;
        let id = response.headers()[X_REQUEST_ID].to_str().unwrap().to_owned();
        assert_ne!(id, harmful);
        assert_eq!(text_of(response).await, id);
    }
}

#[tokio::test]
async fn ids_differ() {
    let setup = setup();
    let mut ids = std::collections::HashSet::new();
    for _ in 0..100 {
        let response = setup.send(http::Request::get("/id")).await;
        assert!(ids.insert(text_of(response).await));
    }
}

#[tokio::test]
async fn a_problem_is_named_by_the_requests_id() {
    let setup = setup();
    let response = setup.send(http::Request::get("/problem").header(X_REQUEST_ID, "abc")).await;
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(json_of(response).await["instance"], "urn:luminate:request:abc");
}
