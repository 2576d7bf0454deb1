//! What a token says, before anything of it is believed but its signature.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use luminate_model::TenantId;
use serde::{Deserialize, Serialize, Serializer};

use crate::error::AuthError;
use crate::principal::{Principal, Scope, Scopes};

/// By how much clocks may disagree.
const LEEWAY: Duration = Duration::from_secs(5);

/// Claims as they stand in the token. Claims of other names are ignored, as RFC 7519 wants it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) sub: String,
    pub(crate) exp: NumericDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nbf: Option<NumericDate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
}

/// Seconds since 1970, which RFC 7519 allows to have a fraction. Tokens of ours have none.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Deserialize)]
#[serde(transparent)]
pub(crate) struct NumericDate(f64);

/// When a token may be used. Kept beside a cached principal, because being cached does not prolong a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    not_before: Option<NumericDate>,
    expires: NumericDate,
}

impl NumericDate {
    /// Whole seconds, rounded down: a token never lives longer than it was meant to.
    pub(crate) fn from_system_time(time: SystemTime) -> Self {
        Self(seconds_since_1970(time).floor())
    }
}

// As an integer, because many a library reads no other date than that.
impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0.floor() as i64)
    }
}

impl Lifetime {
    /// # Errors
    /// [`AuthError::TokenExpired`] from `exp` on, [`AuthError::TokenNotYetValid`] before `nbf`, both with a leeway of 5 s.
    pub(crate) fn check(&self, now: SystemTime) -> Result<(), AuthError> {
        let now = seconds_since_1970(now);
        if now >= self.expires.0 + LEEWAY.as_secs_f64() {
            return Err(AuthError::TokenExpired { seconds_ago: (now - self.expires.0) as u64 });
        }
        match self.not_before {
            Some(NumericDate(not_before)) if not_before > now + LEEWAY.as_secs_f64() => {
                Err(AuthError::TokenNotYetValid { seconds_ahead: (not_before - now).ceil() as u64 })
            }
            _ => Ok(()),
        }
    }

    /// Whether the token can never be used again.
    pub(crate) fn is_over(&self, now: SystemTime) -> bool {
        matches!(self.check(now), Err(AuthError::TokenExpired { .. }))
    }
}

impl Claims {
    pub(crate) fn lifetime(&self) -> Lifetime {
        Lifetime { not_before: self.nbf, expires: self.exp }
    }

    /// # Errors
    /// [`AuthError::ClaimsInvalid`] where the claims make no principal.
    pub(crate) fn principal(&self) -> Result<Principal, AuthError> {
        // A scope of a later version grants nothing here, and does not make the token useless.
        let scopes: Scopes = self.scopes.iter().filter_map(|text| Scope::parse(text)).collect();
        let invalid = |reason: String| AuthError::ClaimsInvalid { reason };
        let tenant = self.tenant.as_deref().map(parse_tenant).transpose().map_err(invalid)?;
        Principal::new(&self.sub, tenant, scopes).map_err(|error| invalid(error.to_string()))
    }
}

#[allow(clippy::disallowed_methods, reason = "a verified token is where a tenant comes from")]
fn parse_tenant(name: &str) -> Result<TenantId, String> {
    TenantId::parse(name).map_err(|error| error.to_string())
}

/// Negative before 1970, so that a clock that was never set refuses tokens instead of failing.
fn seconds_since_1970(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_lives_from_nbf_to_exp_with_five_seconds_of_leeway() {
        let lifetime = Lifetime { not_before: Some(NumericDate(100.0)), expires: NumericDate(200.0) };
        assert_eq!(lifetime.check(at(94)), Err(AuthError::TokenNotYetValid { seconds_ahead: 6 }));
        assert_eq!(lifetime.check(at(95)), Ok(()));
        assert_eq!(lifetime.check(at(204)), Ok(()));
        assert_eq!(lifetime.check(at(205)), Err(AuthError::TokenExpired { seconds_ago: 5 }));
        assert!(!lifetime.is_over(at(94)));
        assert!(lifetime.is_over(at(205)));
    }

    #[test]
    fn a_clock_before_1970_refuses_or_accepts_but_never_fails() {
        let before = UNIX_EPOCH - Duration::from_secs(10);
        let lifetime = Lifetime { not_before: Some(NumericDate(0.0)), expires: NumericDate(1.0) };
        assert_eq!(lifetime.check(before), Err(AuthError::TokenNotYetValid { seconds_ahead: 10 }));
    }

    #[test]
    fn dates_may_have_a_fraction_but_must_be_numbers() {
        let parse = |exp: &str| serde_json::from_str::<Claims>(&format!(r#"{{"sub":"s","exp":{exp}}}"#));
        assert_eq!(parse("1.5").unwrap().exp, NumericDate(1.5));
        assert_eq!(parse("2").unwrap().exp, NumericDate(2.0));
        assert!(parse("\"2\"").is_err());
        assert!(parse("null").is_err());
    }

    #[test]
    fn an_unknown_scope_grants_nothing() {
        let claims: Claims =
            serde_json::from_str(r#"{"sub":"s","exp":1,"tenant":"acme","scopes":["read","fly"]}"#).unwrap();
        assert_eq!(claims.principal().unwrap().scopes(), Scopes::NONE.with(Scope::Read));
    }
}
