//! What a port answers while its process starts: health, metrics and the document of routes; everything else is 503 `starting`. A
//! start may wait for a database for hours, and who asks whether the process lives must be told so meanwhile.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use tower::Service as _;

use super::layers::with_layers;
use super::{HttpServer, Problem, codes, openapi_routes, probe_routes};
use crate::lifecycle::Lifecycle;

/// When a client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A port whose routes are not there yet.
#[derive(Debug, Clone)]
#[must_use = "the port answers 503 until it is opened"]
pub struct StartingPort {
    routes: Arc<OnceLock<Router>>,
}

impl HttpServer {
    /// Serves what every process has from its beginning on, as a supervised task ([`start`](Self::start)), until the routes are
    /// given to the port that this returns.
    pub fn start_with_probes(self, lifecycle: &Lifecycle) -> StartingPort {
        let (port, routes) = StartingPort::new(lifecycle);
        self.start(routes, lifecycle);
        port
    }
}

impl StartingPort {
    fn new(lifecycle: &Lifecycle) -> (Self, Router) {
        let port = Self { routes: Arc::default() };
        let probes = probe_routes(lifecycle)
            .merge(openapi_routes())
            .fallback(async || Problem::new(&codes::STARTING).detail(codes::STARTING.help).retry_after(RETRY_AFTER));
        let (routes, probes) = (Arc::clone(&port.routes), with_layers(probes, lifecycle.metrics()));
        // Each request is asked anew which routes there are: connections outlast the start.
        let switch = move |request: Request| {
            let mut routes = routes.get().unwrap_or(&probes).clone();
            async move { routes.call(request).await }
        };
        (port, Router::new().fallback(switch))
    }

    /// Serves these routes from now on: all of the port, probes and layers included. The first ones stay.
    pub fn open(self, routes: Router) {
        let _ = self.routes.set(routes);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http::header::RETRY_AFTER;

    use super::*;
    use crate::http::with_standard_layers;
    use crate::lifecycle::{Identity, LifecycleConfig};
    use crate::telemetry::{Metrics, Process};

    async fn ask(routes: &Router, path: &str) -> (u16, bool, String) {
        let request = http::Request::get(path).body(Body::empty()).unwrap();
        let answer = routes.clone().call(request).await.unwrap();
        let (status, retries) = (answer.status().as_u16(), answer.headers().contains_key(RETRY_AFTER));
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, retries, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_port_answers_probes_before_it_has_routes() {
        let identity = Identity { service: "luminate-test", version: "1.2.3" };
        let metrics = Metrics::new(&[Process::QueryApi]).unwrap();
        let lifecycle = Lifecycle::new(identity, LifecycleConfig::default(), metrics);
        let (port, served) = StartingPort::new(&lifecycle);
        for (path, status) in
            [("/healthz", 200), ("/startupz", 503), ("/readyz", 503), ("/metrics", 200), ("/api/v1/openapi.json", 200)]
        {
            assert_eq!(ask(&served, path).await.0, status, "{path}");
        }
        let (status, _, health) = ask(&served, "/api/v1/health").await;
        assert!(status == 503 && health.contains("\"status\":\"starting\""), "{health}");
        let (status, retries, problem) = ask(&served, "/work").await;
        assert!(status == 503 && retries && problem.contains("\"code\":\"starting\""), "{problem}");

        let routes = Router::new().route("/work", get(async || "done")).merge(probe_routes(&lifecycle));
        port.open(with_standard_layers(routes, lifecycle.metrics()));
        lifecycle.set_ready();
        assert_eq!(ask(&served, "/work").await, (200, false, "done".to_owned()));
        assert_eq!(ask(&served, "/startupz").await.0, 200);
        assert_eq!(ask(&served, "/nowhere").await.0, 404);
        let metrics = ask(&served, "/metrics").await.2;
        assert!(metrics.contains("path=\"/work\"") && metrics.contains("path=\"unmatched\""), "{metrics}");
    }
}
