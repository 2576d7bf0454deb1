//! Tokens of tests: the token is `scope` or `scope:tenant`, signed by nobody.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::SystemTime;

use luminate_auth::{AuthError, Principal, Scope, Scopes, TokenVerifier};
use luminate_model::TenantId;

struct PlainTokens;

impl TokenVerifier for PlainTokens {
    fn verify(&self, token: &str, _: SystemTime) -> Result<Principal, AuthError> {
        let (scope, tenant) = token.split_once(':').unwrap_or((token, ""));
        let scope = Scope::parse(scope).ok_or(AuthError::SignatureInvalid)?;
        Ok(Principal::new("test", TenantId::parse(tenant).ok(), Scopes::NONE.with(scope)).unwrap())
    }
}

pub(crate) fn verifier() -> Arc<dyn TokenVerifier> {
    Arc::new(PlainTokens)
}
