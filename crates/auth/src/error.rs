//! Why a token or its bearer is refused.

use luminate_model::TenantId;

use crate::principal::Scope;

/// What kind of refusal it is; the HTTP layer chooses the status by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthErrorKind {
    /// Nobody is known to be asking: no token, or none that can be believed.
    Unauthenticated,
    /// The one who asks may not.
    Forbidden,
    /// The one who asks may, but has not said for which tenant.
    Incomplete,
}

/// A refusal. Always the client's fault, never worth a retry with the same token. Texts may be shown to the client: they
/// repeat nothing of the token that the bearer does not know, and nothing of the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No token came with the request.
    #[error("no token was given; send `Authorization: Bearer <token>`")]
    TokenMissing,
    /// What came is no token.
    #[error("the token is malformed: {reason}")]
    TokenMalformed {
        /// What is wrong with its form.
        reason: &'static str,
    },
    /// The token names an algorithm that is not accepted.
    #[error("the token is signed with an algorithm that is not accepted here")]
    AlgorithmUnsupported,
    /// The signature is not one of ours.
    #[error("the token's signature does not match; it was made with another secret, or was changed")]
    SignatureInvalid,
    /// The token's time is over.
    #[error("the token expired {seconds_ago} s ago")]
    TokenExpired {
        /// Whole seconds since its `exp`.
        seconds_ago: u64,
    },
    /// The token's time has not come.
    #[error("the token is not valid before {seconds_ahead} s from now")]
    TokenNotYetValid {
        /// Whole seconds until its `nbf`.
        seconds_ahead: u64,
    },
    /// The token is ours, but what it claims makes no sense.
    #[error("the token's claims are invalid: {reason}")]
    ClaimsInvalid {
        /// What is wrong with them.
        reason: String,
    },
    /// The token does not allow this.
    #[error("the token lacks the scope `{needed}`")]
    ScopeMissing {
        /// The scope that would be needed.
        needed: Scope,
    },
    /// An admin named a tenant other than its own.
    #[error("this token rules its own tenant only, not `{named}`")]
    TenantForbidden {
        /// The tenant that was named.
        named: TenantId,
    },
    /// An operator named no tenant where one is needed.
    #[error("a token of scope `operator` has no tenant: name one")]
    TenantRequired,
}

impl AuthError {
    /// The stable code of the refusal: the same in answers, logs, metrics and docs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TokenMissing => "token_missing",
            Self::TokenMalformed { .. } => "token_malformed",
            Self::AlgorithmUnsupported => "token_algorithm_unsupported",
            Self::SignatureInvalid => "token_signature_invalid",
            Self::TokenExpired { .. } => "token_expired",
            Self::TokenNotYetValid { .. } => "token_not_yet_valid",
            Self::ClaimsInvalid { .. } => "token_claims_invalid",
            Self::ScopeMissing { .. } => "scope_missing",
            Self::TenantForbidden { .. } => "tenant_forbidden",
            Self::TenantRequired => "tenant_required",
        }
    }

    /// The kind of the refusal.
    #[must_use]
    pub const fn kind(&self) -> AuthErrorKind {
        match self {
            Self::TokenMissing
            | Self::TokenMalformed { .. }
            | Self::AlgorithmUnsupported
            | Self::SignatureInvalid
            | Self::TokenExpired { .. }
            | Self::TokenNotYetValid { .. }
            | Self::ClaimsInvalid { .. } => AuthErrorKind::Unauthenticated,
            Self::ScopeMissing { .. } | Self::TenantForbidden { .. } => AuthErrorKind::Forbidden,
            Self::TenantRequired => AuthErrorKind::Incomplete,
        }
    }
}
