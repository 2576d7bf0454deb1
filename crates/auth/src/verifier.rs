//! The seam for kinds of keys.

use std::time::SystemTime;

use crate::error::AuthError;
use crate::principal::Principal;

/// Turns a token into the principal that it was made for.
///
/// One implementation per kind of key; callers hold it as `Arc<dyn TokenVerifier>`. Called for every request, on the
/// event loop: it must not block.
pub trait TokenVerifier: Send + Sync {
    /// Verifies the token as of `now`.
    ///
    /// # Errors
    /// [`AuthError`] of kind [`Unauthenticated`](crate::AuthErrorKind::Unauthenticated).
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, AuthError>;
}
