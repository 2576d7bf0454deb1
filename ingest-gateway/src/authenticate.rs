//! Authenticate: who writes, and for which tenant. The tenant comes from the token and from nowhere else.

use axum::extract::FromRef;
use luminate_auth::WriteAccess;
use luminate_runtime::http::{Authenticated, Authenticator};

use crate::gateway::Gateway;

/// The first argument of every handler that writes. Axum extracts it before the body, so nothing of a body is read, let alone
/// decompressed, for a stranger.
pub type Writer = Authenticated<WriteAccess>;

impl FromRef<Gateway> for Authenticator {
    fn from_ref(gateway: &Gateway) -> Self {
        gateway.authenticator().clone()
    }
}
