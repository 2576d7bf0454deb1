//! Who is asking, and what for: tokens become a [`Principal`], and a principal becomes the access that a service needs.
//!
//! No HTTP here: the runtime crate carries tokens from requests to a [`TokenVerifier`] and turns an [`AuthError`] into an
//! answer.
//!
//! | module | holds |
//! |---|---|
//! | [`principal`] | [`Principal`], [`Scope`], [`Scopes`]: who is asking |
//! | [`access`] | [`ReadAccess`], [`WriteAccess`], [`AdminAccess`], [`OperatorAccess`]: proof that a check was made |
//! | [`verifier`] | [`TokenVerifier`]: the seam for kinds of keys |
//! | [`hs256`] | [`Hs256Verifier`] and [`Hs256Signer`]: tokens signed with a shared secret |
//! | [`secret`] | [`Secret`]: bytes that never show |
//! | [`secret_file`] | the secret that a first start makes |
//! | [`error`] | [`AuthError`] and its stable codes |

pub mod access;
mod cache;
mod claims;
pub mod error;
pub mod hs256;
pub mod principal;
pub mod secret;
pub mod secret_file;
pub mod verifier;

pub use access::{AdminAccess, Grant, OperatorAccess, ReadAccess, TenantAccess, WriteAccess};
pub use error::{AuthError, AuthErrorKind};
pub use hs256::{Hs256Signer, Hs256Verifier, KeyError, MIN_SECRET_BYTES, SignError, Validity};
pub use principal::{InvalidPrincipal, Principal, Scope, Scopes};
pub use secret::Secret;
pub use secret_file::{SECRET_FILE_NAME, SecretFileError, SecretOrigin, load_or_create_secret};
pub use verifier::TokenVerifier;
