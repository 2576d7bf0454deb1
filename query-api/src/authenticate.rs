//! Authenticate: who asks, and for which tenant. The tenant comes from the token and from nowhere else.

use axum::extract::FromRef;
use luminate_auth::ReadAccess;
use luminate_runtime::http::{Authenticated, Authenticator};

use crate::service::QueryService;

/// The first argument of every handler. Axum extracts it before the body, so nothing of a body is read for a stranger.
pub type Reader = Authenticated<ReadAccess>;

impl FromRef<QueryService> for Authenticator {
    fn from_ref(service: &QueryService) -> Self {
        service.authenticator().clone()
    }
}
