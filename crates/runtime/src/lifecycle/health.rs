//! The dependencies of a process and whether they answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::telemetry::metrics::{Gauge, Metrics};

/// The named dependencies of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health {
    dependencies: Arc<Mutex<BTreeMap<&'static str, DependencyState>>>,
    metrics: Metrics,
}

/// The state of one dependency. The detail is read by whoever asks for `/api/v1/health`: no addresses, no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DependencyState {
    /// Whether it answers.
    pub status: DependencyStatus,
    /// What is wrong with it, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whether a dependency answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyStatus {
    /// It answers.
    Up,
    /// It does not, or has not been asked yet.
    Down,
}

/// The handle of the one who knows how a dependency is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dependency {
    name: &'static str,
    health: Health,
    gauge: Gauge,
}

impl Health {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { dependencies: Arc::default(), metrics }
    }

    /// Names a dependency. It counts as down until it is said to be up.
    #[must_use]
    pub fn dependency(&self, name: &'static str) -> Dependency {
        let dependency = Dependency { name, health: self.clone(), gauge: self.metrics.dependency_up.with([name]) };
        dependency.set(DependencyStatus::Down, Some("not asked yet".to_owned()));
        dependency
    }

    /// The state of every dependency, by name.
    #[must_use]
    pub fn dependencies(&self) -> BTreeMap<&'static str, DependencyState> {
        self.lock().clone()
    }

    /// Whether every dependency is up.
    #[must_use]
    pub fn all_up(&self) -> bool {
        self.lock().values().all(|state| state.status == DependencyStatus::Up)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, DependencyState>> {
        self.dependencies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dependency {
    /// It answers.
    pub fn up(&self) {
        self.set(DependencyStatus::Up, None);
    }

    /// It does not answer, for this reason, which the public may read.
    pub fn down(&self, detail: impl Into<String>) {
        self.set(DependencyStatus::Down, Some(detail.into()));
    }

    fn set(&self, status: DependencyStatus, detail: Option<String>) {
        self.gauge.set(f64::from(u8::from(status == DependencyStatus::Up)));
        self.health.lock().insert(self.name, DependencyState { status, detail });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::telemetry::Process;

    #[test]
    fn a_dependency_is_down_until_it_is_said_to_be_up() {
        let metrics = Metrics::new(&[Process::Gateway]).unwrap();
        let health = Health::new(metrics.clone());
        assert!(health.all_up(), "nothing is needed");
        let queue = health.dependency("queue");
        let store = health.dependency("store");
        store.up();
        assert!(!health.all_up());
        queue.up();
        assert!(health.all_up());
        store.down("the disk is full");
        assert!(!health.all_up());
        let rendered = serde_json::to_string(&health.dependencies()).unwrap();
        assert_eq!(rendered, r#"{"queue":{"status":"up"},"store":{"status":"down","detail":"the disk is full"}}"#);
        let scraped = metrics.render().unwrap();
        assert!(scraped.contains("luminate_dependency_up{dependency=\"store\"} 0\n"), "{scraped}");
        assert!(scraped.contains("luminate_dependency_up{dependency=\"queue\"} 1\n"), "{scraped}");
    }
}
