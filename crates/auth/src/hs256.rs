//! Tokens signed with a shared secret (JWT, HMAC with SHA-256).

use std::fmt;
use std::time::SystemTime;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::Value;

use crate::cache::{TokenCache, TokenDigest, VerifiedToken};
use crate::claims::{Claims, NumericDate};
use crate::error::AuthError;
use crate::principal::Principal;
use crate::secret::Secret;
use crate::verifier::TokenVerifier;

/// The shortest secret, in bytes: as long as the hash, as RFC 7518 wants it.
pub const MIN_SECRET_BYTES: usize = 32;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How many verified tokens are remembered: about 2 MiB with the longest subjects.
const CACHED_TOKENS: usize = 4096;

/// The secret cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Anyone could try all secrets of this size.
    #[error(
        "the token secret has {size} bytes and needs {MIN_SECRET_BYTES} or more; make one with `openssl rand -hex 32`"
    )]
    SecretTooShort {
        /// Size of the secret in bytes.
        size: usize,
    },
}

/// The token could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SignError(#[from] jsonwebtoken::errors::Error);

/// When a token to be made may be used.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// From when on, if not at once.
    pub not_before: Option<SystemTime>,
    /// Until when.
    pub expires: SystemTime,
}

/// Verifies tokens; remembers the good ones for as long as they live, 4,096 at most.
pub struct Hs256Verifier {
    key: DecodingKey,
    validation: Validation,
    cache: TokenCache,
}

/// Makes tokens.
pub struct Hs256Signer {
    key: EncodingKey,
}

impl Hs256Verifier {
    /// A verifier of tokens that are signed with this secret.
    ///
    /// # Errors
    /// [`KeyError::SecretTooShort`] below [`MIN_SECRET_BYTES`].
    pub fn new(secret: &Secret) -> Result<Self, KeyError> {
        check_size(secret)?;
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are checked against the caller's clock, on every use; see `Lifetime`. An `aud` claim stays refused: a
        // token that is meant for someone in particular is not meant for us.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.clear();
        Ok(Self {
            key: DecodingKey::from_secret(secret.expose().as_bytes()),
            validation,
            cache: TokenCache::new(CACHED_TOKENS),
        })
    }

    fn verify_signature(&self, token: &str) -> Result<VerifiedToken, AuthError> {
        // Into a value first, so that a token that is not ours and one that we signed with strange claims differ.
        let claims: Value =
            jsonwebtoken::decode(token, &self.key, &self.validation).map_err(|error| refusal(&error))?.claims;
        let claims: Claims =
            serde_json::from_value(claims).map_err(|error| AuthError::ClaimsInvalid { reason: error.to_string() })?;
        Ok(VerifiedToken { principal: claims.principal()?, lifetime: claims.lifetime() })
    }
}

impl TokenVerifier for Hs256Verifier {
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, AuthError> {
        if token.is_empty() {
            return Err(AuthError::TokenMissing);
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::TokenMalformed { reason: "it is longer than 8 KiB" });
        }
        let digest = TokenDigest::of(token);
        if let Some(known) = self.cache.get(&digest) {
            if known.lifetime.is_over(now) {
                self.cache.remove(&digest);
            }
            known.lifetime.check(now)?;
            return Ok(known.principal);
        }
        let verified = self.verify_signature(token)?;
        verified.lifetime.check(now)?;
        self.cache.insert(digest, verified.clone());
        Ok(verified.principal)
    }
}

impl Hs256Signer {
    /// A signer with this secret.
    ///
    /// # Errors
    /// [`KeyError::SecretTooShort`] below [`MIN_SECRET_BYTES`].
    pub fn new(secret: &Secret) -> Result<Self, KeyError> {
        check_size(secret)?;
        Ok(Self { key: EncodingKey::from_secret(secret.expose().as_bytes()) })
    }

    /// Makes a token for the principal.
    ///
    /// # Errors
    /// [`SignError`] where the cryptographic library fails, which no input brings about.
    pub fn sign(&self, principal: &Principal, validity: &Validity) -> Result<String, SignError> {
        let claims = Claims {
            sub: principal.subject().to_owned(),
            exp: NumericDate::from_system_time(validity.expires),
            nbf: validity.not_before.map(NumericDate::from_system_time),
            tenant: principal.tenant().map(|tenant| tenant.as_str().to_owned()),
            scopes: principal.scopes().iter().map(|scope| scope.as_str().to_owned()).collect(),
        };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key)?)
    }
}

fn check_size(secret: &Secret) -> Result<(), KeyError> {
    if secret.len() < MIN_SECRET_BYTES {
        return Err(KeyError::SecretTooShort { size: secret.len() });
    }
    Ok(())
}

fn refusal(error: &jsonwebtoken::errors::Error) -> AuthError {
    match error.kind() {
        ErrorKind::InvalidSignature => AuthError::SignatureInvalid,
        ErrorKind::InvalidAlgorithm => AuthError::AlgorithmUnsupported,
        ErrorKind::InvalidToken => AuthError::TokenMalformed { reason: "it does not have three parts" },
        ErrorKind::Base64(_) => AuthError::TokenMalformed { reason: "a part is not base64url" },
        ErrorKind::InvalidAudience => {
            AuthError::ClaimsInvalid { reason: "it is meant for another audience (`aud`)".to_owned() }
        }
        ErrorKind::InvalidClaimFormat(claim) => {
            AuthError::ClaimsInvalid { reason: format!("`{claim}` has the wrong type") }
        }
        _ => AuthError::TokenMalformed { reason: "its header or its claims are not the JSON of a token" },
    }
}

// Written by hand, because the keys hold the secret.
impl fmt::Debug for Hs256Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hs256Verifier").finish_non_exhaustive()
    }
}

impl fmt::Debug for Hs256Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hs256Signer").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "hs256_tests.rs"]
mod tests;
