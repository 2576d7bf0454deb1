//! What operators ask of a writer: `/api/v1/admin`. A token of scope `admin` rules its own tenant; one of scope `operator` may
//! name any.
//!
//! | module | answers |
//! |---|---|
//! | [`dead_letters`] | list, show, replay, purge |
//! | [`erase`] | erasing a tenant's data |
//! | [`watermarks`] | how far each source is stored |
//! | [`problems`] | the kinds of problems that only these routes have |

pub mod dead_letters;
pub mod erase;
mod erasures;
mod input;
pub mod problems;
pub mod watermarks;

#[cfg(test)]
pub(crate) mod test_tokens;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use luminate_queue::{DeadLetters, QueueAdmin};
use luminate_runtime::clock::Clock;
use luminate_runtime::http::{Authenticator, MemoryBudget};
use luminate_storage::{SampleSink, Watermarks};
use utoipa::OpenApi;

use crate::progress::Progress;
use erasures::Erasures;

/// What all requests together may hold: they are few and small.
const BODY_BUDGET_BYTES: u64 = 1 << 20;

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<AdminState>);

struct AdminState {
    authenticator: Authenticator,
    parts: AdminParts,
    erasures: Erasures,
    budget: MemoryBudget,
}

/// What the handlers need of the writer around them.
pub(crate) struct AdminParts {
    pub(crate) dead_letters: Arc<dyn DeadLetters>,
    pub(crate) queue: Arc<dyn QueueAdmin>,
    pub(crate) sink: Arc<dyn SampleSink>,
    /// How far this writer's partitions are stored.
    pub(crate) progress: Progress,
    /// How far those of all writers are; `None` where this writer has them all.
    pub(crate) watermarks: Option<Arc<dyn Watermarks>>,
    pub(crate) clock: Clock,
}

impl std::ops::Deref for AdminState {
    type Target = AdminParts;

    fn deref(&self) -> &AdminParts {
        &self.parts
    }
}

/// The operations of these routes.
#[derive(OpenApi)]
#[openapi(
    paths(
        dead_letters::list,
        dead_letters::show,
        dead_letters::replay,
        dead_letters::purge,
        erase::begin,
        erase::status,
        watermarks::watermarks
    ),
    tags((name = "admin", description = "Dead letters, erasing, watermarks"))
)]
struct AdminApi;

/// The operations of these routes, for the document of all.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    AdminApi::openapi()
}

impl Admin {
    pub(crate) fn new(authenticator: Authenticator, parts: AdminParts) -> Self {
        let (erasures, budget) = (Erasures::default(), MemoryBudget::new(BODY_BUDGET_BYTES));
        Self(Arc::new(AdminState { authenticator, parts, erasures, budget }))
    }

    /// Goes on with erasures that were begun before this process. Call it before there are [`routes`].
    pub(crate) fn go_on_erasing(&self) {
        let held = self.state().erasures.hold_replays();
        tokio::spawn(erase::go_on(self.clone(), held));
    }

    fn state(&self) -> &AdminState {
        &self.0
    }
}

impl FromRef<Admin> for Authenticator {
    fn from_ref(admin: &Admin) -> Self {
        admin.0.authenticator.clone()
    }
}

/// The routes.
pub(crate) fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/api/v1/admin/dead-letters", get(dead_letters::list))
        .route("/api/v1/admin/dead-letters/purge", post(dead_letters::purge))
        .route("/api/v1/admin/dead-letters/{id}", get(dead_letters::show))
        .route("/api/v1/admin/dead-letters/{id}/replay", post(dead_letters::replay))
        .route("/api/v1/admin/erase", post(erase::begin))
        .route("/api/v1/admin/erase/{id}", get(erase::status))
        .route("/api/v1/admin/watermarks", get(watermarks::watermarks))
        .with_state(admin)
}
