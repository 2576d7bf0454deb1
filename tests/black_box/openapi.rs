//! The OpenAPI document tells the truth: what it describes is there, and what is there it describes.

use std::collections::{BTreeMap, BTreeSet};

use luminate_tests::cluster::ClusterOptions;
use luminate_tests::samples::now_ms;
use luminate_tests::{Answer, Client, Cluster, Server, wait};
use serde_json::{Value, json};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Every path of the contract that a single node answers.
const PATHS: [&str; 18] = [
    "/api/v1/write",
    "/api/v1/query",
    "/api/v1/metrics",
    "/api/v1/dimensions",
    "/api/v1/dimensions/{key}/values",
    "/api/v1/admin/dead-letters",
    "/api/v1/admin/dead-letters/purge",
    "/api/v1/admin/dead-letters/{id}",
    "/api/v1/admin/dead-letters/{id}/replay",
    "/api/v1/admin/erase",
    "/api/v1/admin/erase/{id}",
    "/api/v1/admin/watermarks",
    "/api/v1/health",
    "/api/v1/openapi.json",
    "/healthz",
    "/readyz",
    "/startupz",
    "/metrics",
];

fn document(server: &Server) -> Value {
    document_at(server.url())
}

fn document_at(url: &str) -> Value {
    let answer = Client::new(url, "").get("/api/v1/openapi.json");
    assert_eq!(answer.status, 200);
    answer.json()
}

/// Every operation: path, method, and what the document says of it.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let methods = METHODS.iter().filter(|method| item.get(**method).is_some());
            methods.map(|method| (path.clone(), method.to_uppercase(), item[*method].clone()))
        })
        .collect()
}

/// Asserts that an answer is one that its operation tells of.
#[track_caller]
fn assert_documented(answer: &Answer, method: &str, path: &str, operation: &Value) {
    let responses = operation["responses"].as_object().unwrap();
    let response = responses.get(&answer.status.to_string()).or_else(|| responses.get("default"));
    let Some(response) = response else {
        panic!("{method} {path} answered {}, which it does not tell of", answer.status)
    };
    let Some(content) = response["content"].as_object().filter(|content| !content.is_empty()) else { return };
    let media_type = answer.headers.get("content-type").map_or("", String::as_str);
    let media_type = media_type.split(';').next().unwrap_or_default();
    assert!(content.contains_key(media_type), "{method} {path} answered {media_type}: {content:?}");
}

/// A real call of each operation, by its path and method.
struct Calls {
    server: Server,
    letter: String,
    erasure: String,
}

impl Calls {
    /// A server that has everything that can be asked for.
    fn prepare() -> Self {
        let server = Server::start();
        let admin = server.admin("acme");
        let body =
            |n: i64| json!({"metrics": [{"name": "m", "timestamp": now_ms(), "value": n, "dimensions": {"k": "v"}}]});
        for n in 0..2 {
            let answer = admin.post_json("/api/v1/write", &[("Idempotency-Key", "twice")], &body(n)).unwrap();
            assert_eq!(answer.status, 202);
        }
        let letter = wait::until("a dead letter", || {
            let letters = admin.get("/api/v1/admin/dead-letters").json();
            Some(letters["deadLetters"][0]["id"].as_str()?.replace('/', "%2F"))
        });
        let admin = server.admin("erased");
        let erasure =
            admin.post_json("/api/v1/admin/erase", &[], &json!({})).unwrap().json()["id"].as_str().unwrap().to_owned();
        Self { server, letter, erasure }
    }

    /// The path with its parameters filled in, and a body. `None` where this test does not know the operation.
    fn request(&self, path: &str, method: &str) -> Option<(String, Value)> {
        let tenant = json!({"tenant": "acme"});
        let query = json!({"queryType": "raw", "metricName": "m", "timeRange": {"relative": "1h"}});
        let body = match (method, path) {
            ("POST", "/api/v1/write") => json!({"metrics": [{"name": "m", "timestamp": 1, "value": 1}]}),
            ("POST", "/api/v1/query") => query,
            ("POST", "/api/v1/admin/dead-letters/purge") => tenant,
            ("POST", "/api/v1/admin/erase") => json!({}),
            ("POST", "/api/v1/admin/dead-letters/{id}/replay") => json!({}),
            ("GET", _) if PATHS.contains(&path) => Value::Null,
            _ => return None,
        };
        let id = if path.contains("erase") { &self.erasure } else { &self.letter };
        Some((path.replace("{key}", "k").replace("{id}", id), body))
    }

    fn call(&self, client: &Client, path: &str, method: &str) -> Answer {
        let (path, body) =
            self.request(path, method).unwrap_or_else(|| panic!("this test knows no call of {method} {path}"));
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        client.send(method, &path, &[("Content-Type", "application/json")], &bytes).unwrap()
    }
}

#[test]
fn every_operation_answers_as_it_says() {
    let calls = Calls::prepare();
    let document = document(&calls.server);
    let (nobody, reader) = (Client::new(calls.server.url(), ""), calls.server.client("acme"));
    let mut operations = operations(&document);
    // What removes things comes last.
    operations.sort_by_key(|(path, ..)| (path.contains("purge"), path.contains("erase")));
    for (path, method, operation) in &operations {
        let tenant = if path == "/api/v1/admin/erase/{id}" { "erased" } else { "acme" };
        let answer = calls.call(&calls.server.admin(tenant), path, method);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.json());
        assert_documented(&answer, method, path, operation);
        answer.assert_nothing_internal(path);

        let open = operation["security"] == json!([]);
        let answer = calls.call(&nobody, path, method);
        assert_eq!(answer.status == 401, !open, "{method} {path} without a token: {}", answer.status);
        assert_documented(&answer, method, path, operation);
        if path.contains("/admin/") {
            let answer = calls.call(&reader, path, method);
            assert_eq!(answer.status, 403, "{method} {path} without the scope");
            assert_documented(&answer, method, path, operation);
        }
    }
}

#[test]
fn every_path_is_described_with_the_methods_that_it_takes() {
    let server = Server::start();
    let document = document(&server);
    let mut described: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations(&document) {
        described.entry(path).or_default().insert(method);
    }
    let paths: BTreeSet<&str> = described.keys().map(String::as_str).collect();
    assert_eq!(paths, PATHS.into_iter().collect());
    let client = Client::new(server.url(), "");
    for (path, methods) in &described {
        let real = path.replace("{key}", "k").replace("{id}", "i");
        let answer = client.send("PATCH", &real, &[], b"").unwrap();
        answer.assert_problem(path, 405, "method_not_allowed");
        // What answers GET answers HEAD as well.
        let allowed = answer.headers["allow"].split(',').map(|method| method.trim().to_owned());
        let allowed: BTreeSet<String> = allowed.filter(|method| method != "HEAD").collect();
        assert_eq!(&allowed, methods, "{path}");
    }
}

#[test]
fn the_document_is_sound() {
    let server = Server::start();
    let document = document(&server);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(
            !id.is_empty() && ids.insert(id.to_owned()),
            "{method} {path}: the id {id:?} is missing or not its own"
        );
        let said = operation["summary"].as_str().or(operation["description"].as_str()).unwrap_or_default();
        assert!(!said.is_empty(), "{method} {path} does not say what it does");
        for name in path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name) {
            let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
            let is_described =
                parameters.iter().any(|parameter| parameter["name"] == name && parameter["in"] == "path");
            assert!(is_described, "{method} {path}: {{{name}}} is not described");
        }
    }
    for reference in references(&document) {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads away"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let checked_in = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/openapi.json");
    let checked_in: Value = serde_json::from_slice(&std::fs::read(checked_in).unwrap()).unwrap();
    assert!(checked_in == document, "schemas/openapi.json is not what is served: `make docs` writes it");
}

#[test]
fn every_process_of_a_cluster_serves_the_same_document_and_its_part_of_the_routes() {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let (gateway, writer, query) = (cluster.start_gateway(), cluster.start_writer(), cluster.start_query());
    let document = document_at(gateway.url());
    assert_eq!(document_at(writer.url()), document);
    assert_eq!(document_at(query.url()), document);
    let of_process = ["/healthz", "/readyz", "/startupz", "/metrics", "/api/v1/health", "/api/v1/openapi.json"];
    let paths = document["paths"].as_object().unwrap();
    for path in paths.keys() {
        let real = path.replace("{key}", "k").replace("{id}", "i");
        // Of a path that is there only the method is wrong.
        let is_at = |url: &str| Client::new(url, "").send("PATCH", &real, &[], b"").unwrap().status == 405;
        let there = [is_at(gateway.url()), is_at(writer.url()), is_at(query.url())];
        let expected = match path.as_str() {
            path if of_process.contains(&path) => [true; 3],
            "/api/v1/write" => [true, false, false],
            path if path.starts_with("/api/v1/admin/") => [false, true, false],
            _ => [false, false, true],
        };
        assert_eq!(there, expected, "{path} at gateway, writer and query-api");
    }
}

fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
