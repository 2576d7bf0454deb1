//! What is deployed fits what is built: images, routes of the proxy, metrics of the dashboard. Reads files alone.

use std::collections::BTreeSet;
use std::path::Path;

use luminate_tests::problem::documented;
use serde_json::Value;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names in a text that begin like a metric of ours.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("luminate_") || word.starts_with("process_")).collect()
}

#[test]
fn dashboard_and_alerts_name_documented_metrics() {
    let page = file("docs/metrics.md");
    let documented: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let dashboard = file("deploy/grafana/dashboards/luminate.json");
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries: String = targets.flat_map(|target| [target["expr"].as_str().unwrap(), "\n"]).collect();
    let rules = file("deploy/prometheus/rules.yml");
    for text in [queries.as_str(), rules.as_str()] {
        let named = metrics_in(text);
        assert!(named.len() >= 4, "metrics are found: {named:?}");
        let is_documented = |name: &&str| documented.contains(name.strip_suffix("_bucket").unwrap_or(name));
        let unknown: Vec<_> = named.iter().filter(|name| !is_documented(name)).collect();
        assert!(unknown.is_empty(), "not in docs/metrics.md: {unknown:?}");
    }
}

#[test]
fn images_are_pinned() {
    let compose = file("docker-compose.yml");
    let dockerfile = file("deploy/docker/Dockerfile");
    let of_compose = compose.lines().filter_map(|line| line.trim().strip_prefix("image: "));
    let of_dockerfile = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")?.split(' ').next());
    let images: Vec<&str> = of_compose.chain(of_dockerfile).collect();
    assert!(images.len() >= 7, "images are found: {images:?}");
    for image in images.into_iter().filter(|image| *image != "luminate:local") {
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        assert!(tag.contains('.') && tag.contains(|c: char| c.is_ascii_digit()), "{image} has no tag of a version");
    }
}

/// Where the proxy sends a path: the variable of its location's `proxy_pass`, or nothing.
fn route<'a>(proxy: &'a str, path: &str) -> Option<&'a str> {
    let locations = proxy.lines().filter_map(|line| line.trim().strip_prefix("location ")?.split_once('{'));
    let mut passing = locations
        .filter_map(|(location, body)| Some((location.trim(), body.split_once("proxy_pass $")?.1.split_once(';')?.0)));
    let matches = |location: &str| match location.split_once(' ') {
        Some(("=", exact)) => exact.trim() == path,
        Some(("^~", prefix)) => path.starts_with(prefix.trim()),
        _ => panic!("a location of another kind: {location}"),
    };
    passing.find(|(location, _)| matches(location)).map(|(_, service)| service)
}

#[test]
fn the_proxy_routes_what_the_openapi_document_has() {
    let proxy = file("deploy/docker/nginx.conf");
    let document: Value = serde_json::from_str(&file("schemas/openapi.json")).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 10, "paths are found");
    for path in paths.keys() {
        let inside = path.starts_with("/api/v1/admin") || !path.starts_with("/api/");
        let expected = match path.as_str() {
            "/api/v1/write" | "/api/v1/health" | "/api/v1/openapi.json" => Some("gateway"),
            _ if inside => None,
            _ => Some("query"),
        };
        assert_eq!(route(&proxy, path), expected, "{path}");
    }
    assert_eq!(route(&proxy, "/v1/metrics"), Some("gateway"), "OTLP is written, not the catalogue");
}

/// What the proxy answers itself, it answers as the services do.
#[test]
fn the_proxys_own_errors_are_documented() {
    let proxy = file("deploy/docker/nginx.conf");
    let answers = proxy.lines().filter_map(|line| line.trim().strip_prefix("return ")?.split_once(" '"));
    let answers = answers.filter_map(|(status, body)| Some((status, body.strip_suffix("';")?)));
    let mut codes = BTreeSet::new();
    for (status, body) in answers {
        let problem: Value = serde_json::from_str(body).unwrap();
        let code = problem["code"].as_str().unwrap();
        assert_eq!(problem["status"].to_string(), status, "{code}");
        let statuses = documented().get(code).unwrap_or_else(|| panic!("{code} is not documented"));
        assert!(statuses.iter().any(|documented| documented.to_string() == status), "{code} {status}");
        assert_eq!(problem["type"], format!("/docs/errors#{code}"));
        codes.insert(code.to_owned());
    }
    assert_eq!(codes, ["not_found", "service_unavailable"].map(str::to_owned).into());
}
