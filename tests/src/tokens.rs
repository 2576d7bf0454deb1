//! Tokens made by hand, also such as the product would never make.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::samples::now_ms;
use crate::server::SECRET;

/// Seconds since 1970, now.
pub fn now_seconds() -> i64 {
    now_ms() / 1000
}

/// Claims as the product makes them: `tenant` with `scopes`, good for an hour.
pub fn claims(tenant: &str, scopes: &[&str]) -> Value {
    json!({"sub": "a test", "exp": now_seconds() + 3600, "tenant": tenant, "scopes": scopes})
}

/// A token with these claims, signed with the servers' secret.
pub fn signed(claims: &Value) -> String {
    signed_as(&json!({"alg": "HS256", "typ": "JWT"}), claims, hmac::HMAC_SHA256, SECRET)
}

/// A token with any header, signed in any way.
pub fn signed_as(header: &Value, claims: &Value, algorithm: hmac::Algorithm, secret: &str) -> String {
    let text = unsigned(header, claims);
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    let signature = hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

/// Header and claims, without a signature and without the dot before it.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}
