//! The route of the document of all routes (OpenAPI), the same at every process.

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;

/// The path that serves the document.
pub const OPENAPI_PATH: &str = "/api/v1/openapi.json";

/// The route that serves `schemas/openapi.json`, which tells of the routes of all services.
pub fn openapi_routes() -> Router {
    Router::new()
        .route(OPENAPI_PATH, get(|| async { ([(CONTENT_TYPE, "application/json")], luminate_schemas::OPENAPI) }))
}
