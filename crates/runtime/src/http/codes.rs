//! The kinds of problems that all services share. Each service has its own beside these.

use luminate_auth::AuthError;

use super::problem::{Problem, ProblemType};

crate::problem_types! {
    NOT_FOUND: NOT_FOUND "not_found", "No such path",
        "Nothing answers at this path. The API reference lists the paths.";
    METHOD_NOT_ALLOWED: METHOD_NOT_ALLOWED "method_not_allowed", "Method not allowed",
        "The path exists, but not for this method; `Allow` names those that it takes.";
    BODY_TOO_LARGE: PAYLOAD_TOO_LARGE "body_too_large", "Request body too large",
        "The body has more bytes than allowed; the detail names the limit. Send the samples in several requests.";
    BODY_TIMEOUT: REQUEST_TIMEOUT "body_timeout", "Request body too slow",
        "The body did not arrive in time. Send it again.";
    BODY_INCOMPLETE: BAD_REQUEST "body_incomplete", "Request body incomplete",
        "The connection ended or broke its protocol before the body was complete. Send it again.";
    OVERLOADED: SERVICE_UNAVAILABLE "overloaded", "Overloaded",
        "The process holds as many bytes of requests as it may. Try again after `Retry-After` seconds.";
    STARTING: SERVICE_UNAVAILABLE "starting", "Starting",
        "The process is starting, and waits for what it needs. Try again after `Retry-After` seconds.";
    RATE_LIMITED: TOO_MANY_REQUESTS "rate_limited", "Rate limit exceeded",
        "The tenant sent more than its limit. Try again after `Retry-After` seconds.";
    RATE_LIMITED_UNAVAILABLE: SERVICE_UNAVAILABLE "rate_limited", "Rate limit exceeded",
        "As above, for tenants that are set to get 503, because their clients drop data on 429.";
    INTERNAL: INTERNAL_SERVER_ERROR "internal", "Internal error",
        "A fault of ours. The log has more, under the id in `instance`.";
    TOKEN_MISSING: UNAUTHORIZED "token_missing", "Token missing",
        "Send `Authorization: Bearer <token>`, or Basic with the token as password. `luminate token` makes one.";
    TOKEN_MALFORMED: UNAUTHORIZED "token_malformed", "Token malformed",
        "What came is not a JWT. Look for cut-off or doubled text.";
    TOKEN_ALGORITHM_UNSUPPORTED: UNAUTHORIZED "token_algorithm_unsupported", "Token algorithm not accepted",
        "Tokens are signed with HS256.";
    TOKEN_SIGNATURE_INVALID: UNAUTHORIZED "token_signature_invalid", "Token signature invalid",
        "The token was made with another secret, or changed. Make one with this installation's secret.";
    TOKEN_EXPIRED: UNAUTHORIZED "token_expired", "Token expired",
        "Make a new token, and compare the clocks.";
    TOKEN_NOT_YET_VALID: UNAUTHORIZED "token_not_yet_valid", "Token not yet valid",
        "The token's `nbf` lies in the future. Compare the clocks.";
    TOKEN_CLAIMS_INVALID: UNAUTHORIZED "token_claims_invalid", "Token claims invalid",
        "The signature is good, but a claim is missing or has the wrong form; the detail names it.";
    SCOPE_MISSING: FORBIDDEN "scope_missing", "Scope missing",
        "The token does not allow this. The detail names the scope that it would need.";
    TENANT_FORBIDDEN: FORBIDDEN "tenant_forbidden", "Another tenant",
        "An `admin` token rules its own tenant only.";
    TENANT_REQUIRED: BAD_REQUEST "tenant_required", "Tenant missing",
        "A token of scope `operator` has no tenant: the request must name one.";
}

/// The kind of problem that a refused token is.
pub(super) const fn of_auth_error(error: &AuthError) -> &'static ProblemType {
    match error {
        AuthError::TokenMissing => &TOKEN_MISSING,
        AuthError::TokenMalformed { .. } => &TOKEN_MALFORMED,
        AuthError::AlgorithmUnsupported => &TOKEN_ALGORITHM_UNSUPPORTED,
        AuthError::SignatureInvalid => &TOKEN_SIGNATURE_INVALID,
        AuthError::TokenExpired { .. } => &TOKEN_EXPIRED,
        AuthError::TokenNotYetValid { .. } => &TOKEN_NOT_YET_VALID,
        AuthError::ClaimsInvalid { .. } => &TOKEN_CLAIMS_INVALID,
        AuthError::ScopeMissing { .. } => &SCOPE_MISSING,
        AuthError::TenantForbidden { .. } => &TENANT_FORBIDDEN,
        AuthError::TenantRequired => &TENANT_REQUIRED,
    }
}

/// A problem that says that something of ours went wrong, and nothing more.
#[must_use]
pub fn internal() -> Problem {
    Problem::new(&INTERNAL).detail("the request failed for a reason that is not yours; it is in the log")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_code_means_one_thing() {
        let mut titles = HashMap::new();
        for problem_type in ALL {
            let title = titles.entry(problem_type.code).or_insert(problem_type.title);
            assert_eq!(*title, problem_type.title, "{}", problem_type.code);
            assert!(problem_type.code.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        }
    }
}
