//! The document of all routes (OpenAPI 3.1): the services' parts, and the routes of the process itself.

use std::sync::LazyLock;

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use serde_json::json;
use utoipa::openapi::path::{HttpMethod, OperationBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, PathsBuilder, Ref,
    RefOr, ResponseBuilder,
};

/// The path that serves the document.
pub(crate) const OPENAPI_PATH: &str = "/api/v1/openapi.json";

/// The name of the way in which clients show who they are.
const TOKEN: &str = "token";

/// The route that serves the document.
pub(crate) fn routes() -> Router {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| text().unwrap_or_default());
    Router::new().route(OPENAPI_PATH, get(|| async { ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()) }))
}

/// The document as it is served and checked in.
///
/// # Errors
/// Where it cannot be written as JSON, which a test rules out.
pub(crate) fn text() -> anyhow::Result<String> {
    let mut text = document().to_pretty_json().context("the OpenAPI document cannot be written")?;
    text.push('\n');
    Ok(text)
}

/// The document.
pub(crate) fn document() -> OpenApi {
    let license = LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build();
    let info = InfoBuilder::new()
        .title("Luminate")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("A multi-tenant store for high-cardinality metrics."))
        .license(Some(license))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The tenant and the scopes come from the token. `luminate token` makes one."))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme(TOKEN, SecurityScheme::Http(bearer))
        .schema("Health", health_schema())
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(TOKEN, Vec::<String>::new())]))
        .paths(paths_of_the_process())
        .build()
        .merge_from(luminate_query_api::openapi())
        .merge_from(luminate_writer::admin::openapi())
}

/// Health, metrics, and this document. They need no token.
fn paths_of_the_process() -> Paths {
    let probe =
        |what: &'static str, unlike: &'static str| [("200", what, Content::Text), ("503", unlike, Content::Text)];
    let process = [
        ("/healthz", "live", "Whether the process is alive", probe("It is.", "It hangs: restart it.")),
        ("/readyz", "ready", "Whether the process takes work", probe("It does.", "Send it none.")),
        ("/startupz", "started", "Whether the process has started", probe("It has.", "Wait.")),
    ];
    let mut paths = PathsBuilder::new();
    for (path, id, summary, answers) in process {
        paths = paths.path(path, operation(id, summary, &answers));
    }
    let health = [
        ("200", "It does its work, or will again by itself (`ok`, `degraded`).", Content::Health),
        ("503", "It is `starting` or `draining`.", Content::Health),
    ];
    paths
        .path("/api/v1/health", operation("health", "The state of the process and of what it depends on", &health))
        .path(
            "/metrics",
            operation("metrics", "Metrics of the process", &[("200", "Prometheus' text format.", Content::Text)]),
        )
        .path(OPENAPI_PATH, operation("openapi", "This document", &[("200", "OpenAPI 3.1.", Content::Json)]))
        .build()
}

#[derive(Clone, Copy)]
enum Content {
    Text,
    Json,
    Health,
}

fn operation(id: &str, summary: &str, answers: &[(&str, &str, Content)]) -> utoipa::openapi::PathItem {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .tag("process")
        // An empty list in place of the document's: no token.
        .securities(Some(Vec::new()));
    for (status, meaning, content) in answers {
        let (media, schema): (_, RefOr<Schema>) = match content {
            Content::Text => ("text/plain", ObjectBuilder::new().schema_type(Type::String).build().into()),
            Content::Json => ("application/json", ObjectBuilder::new().schema_type(Type::Object).build().into()),
            Content::Health => ("application/json", Ref::from_schema_name("Health").into()),
        };
        let response = ResponseBuilder::new()
            .description(*meaning)
            .content(media, ContentBuilder::new().schema(Some(schema)).build())
            .build();
        operation = operation.response(*status, response);
    }
    utoipa::openapi::PathItem::new(HttpMethod::Get, operation)
}

fn health_schema() -> Schema {
    let word = |words: &[&str]| ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.to_vec()));
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let dependency =
        ObjectBuilder::new().property("status", word(&["up", "down"])).property("detail", text()).required("status");
    ObjectBuilder::new()
        .property("status", word(&["ok", "degraded", "starting", "draining"]))
        .property("service", text())
        .property("version", text())
        .property("dependencies", ObjectBuilder::new().additional_properties(Some(Schema::from(dependency.build()))))
        .required("status")
        .required("dependencies")
        .examples([json!({
            "status": "ok", "service": "luminate", "version": "0.1.0", "dependencies": {"queue": {"status": "up"}},
        })])
        .into()
}
