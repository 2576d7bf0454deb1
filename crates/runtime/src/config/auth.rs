//! The section that says who may do what.

use std::sync::Arc;

use luminate_auth::{Hs256Verifier, TokenVerifier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::ConfigSecret;

/// Who may do what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct AuthConfig {
    /// The secret that tokens are signed with (HS256), 32 bytes or more. The processes of a cluster share it and do not start
    /// without. Unless set, the first start of `luminate serve` makes one and keeps it in the data folder.
    pub secret: Option<ConfigSecret>,
}

/// Tokens cannot be checked with what is set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("auth.secret: {0}")]
pub struct InvalidAuth(String);

impl AuthConfig {
    /// What checks tokens; `None` where no secret is set.
    ///
    /// # Errors
    /// [`InvalidAuth`] where the secret is too short.
    pub fn verifier(&self) -> Result<Option<Arc<dyn TokenVerifier>>, InvalidAuth> {
        let Some(secret) = &self.secret else { return Ok(None) };
        let verifier = Hs256Verifier::new(secret.secret()).map_err(|error| InvalidAuth(error.to_string()))?;
        Ok(Some(Arc::new(verifier)))
    }

    /// What checks tokens, for a process that shares the secret with others.
    ///
    /// # Errors
    /// [`InvalidAuth`] where there is no secret, or it is too short.
    pub fn required_verifier(&self) -> Result<Arc<dyn TokenVerifier>, InvalidAuth> {
        let missing = "is not set; the processes of a cluster share it: set JWT_SECRET to 32 bytes or more";
        self.verifier()?.ok_or_else(|| InvalidAuth(missing.to_owned()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_does_not_start_without_its_secret() {
        let none = AuthConfig::default();
        assert!(none.verifier().unwrap().is_none());
        assert!(none.required_verifier().err().unwrap().to_string().contains("JWT_SECRET"));
        let short: AuthConfig = serde_json::from_str(r#"{"secret":"short"}"#).unwrap();
        let error = short.required_verifier().err().unwrap().to_string();
        assert!(error.starts_with("auth.secret: ") && !error.contains("short "), "{error}");
    }
}
