//! The document of all routes (OpenAPI 3.1): the services' parts, and the routes of the process itself.

use anyhow::Context as _;
use luminate_runtime::http::OPENAPI_PATH;
use serde_json::json;
use utoipa::openapi::path::{HttpMethod, OperationBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, PathsBuilder, Ref,
    RefOr, ResponseBuilder,
};

/// The name of the way in which clients show who they are.
const TOKEN: &str = "token";

/// The document as it is checked in, and served from there by every process.
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
        .merge_from(luminate_ingest_gateway::openapi())
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use axum::Router;
    use luminate_auth::{Hs256Verifier, Secret};
    use luminate_model::RetentionRules;
    use luminate_runtime::lifecycle::{Identity, Lifecycle, LifecycleConfig};
    use luminate_runtime::telemetry::{Metrics, Process};
    use serde_json::Value;

    use super::*;
    use crate::serve::ServeConfig;
    use crate::serve::backends::single_node;
    use crate::serve::wiring::{Parts, routes};

    /// `GET /path` of every operation in the document.
    fn operations() -> BTreeSet<String> {
        let document: Value = serde_json::from_str(&text().unwrap()).unwrap();
        let paths = document["paths"].as_object().unwrap().iter();
        paths
            .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path)))
            .map(|(method, path)| format!("{method} {path}"))
            .collect()
    }

    /// `GET /path` of everything that is mounted. Axum tells it in its debug form alone; where that changes, nothing is found
    /// and the test fails.
    fn mounted(routes: &Router) -> BTreeSet<String> {
        let debug = format!("{routes:?}");
        // Fallbacks come after, and are no routes.
        let (debug, _) = debug.split_once("fallback_router").unwrap();
        let (routes, paths) = debug.split_once("node: Node { paths: {").unwrap();
        let path_of = |id: &str| paths.split_once(&format!("{id}: \"")).unwrap().1.split_once('"').unwrap().0;
        let each = routes.split("RouteId(").skip(1);
        each.flat_map(|route| {
            let (number, route) = route.split_once(')').unwrap();
            let methods = route.split_once("allow_header: Bytes(b\"").unwrap().1.split_once('"').unwrap().0;
            let path = path_of(&format!("RouteId({number})"));
            // GET answers HEAD as well, as everywhere in HTTP.
            methods.split(',').filter(|method| *method != "HEAD").map(move |method| format!("{method} {path}"))
        })
        .collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_route_has_its_operation_and_every_operation_its_route() {
        let folder = tempfile::tempdir().unwrap();
        let config = ServeConfig::default();
        let metrics = Metrics::new(&Process::ALL).unwrap();
        let lifecycle = Lifecycle::new(Identity { service: "test", version: "0" }, LifecycleConfig::default(), metrics);
        let rules = RetentionRules::default();
        let parts = Parts {
            verifier: Arc::new(Hs256Verifier::new(&Secret::new("0123456789abcdef0123456789abcdef")).unwrap()),
            backends: single_node(&config, folder.path(), &rules, &lifecycle).unwrap(),
            retention: Arc::default(),
        };
        let mounted = mounted(&routes(config, parts, &lifecycle).unwrap());
        assert!(mounted.contains("POST /api/v1/write") && mounted.contains("GET /healthz"), "{mounted:?}");
        assert_eq!(mounted, operations());
    }

    #[test]
    fn the_document_is_openapi_3_1_and_its_references_lead_somewhere() {
        let document: Value = serde_json::from_str(&text().unwrap()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let text = document.to_string();
        let references = text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
        for reference in references {
            assert!(schemas.contains_key(reference), "{reference} is referred to and not there");
        }
        let ids = text.split("\"operationId\":\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        let ids: Vec<&str> = ids.collect();
        assert_eq!(ids.len(), operations().len(), "every operation has an id");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "ids are distinct: {ids:?}");
    }
}
