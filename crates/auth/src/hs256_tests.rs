//! Tests of the HS256 verifier and signer.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use luminate_model::TenantId;
use serde_json::json;

use super::*;
use crate::principal::{Scope, Scopes};

const NOW: u64 = 1_700_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn secret() -> Secret {
    Secret::new("0123456789abcdef0123456789abcdef")
}

fn verifier() -> Hs256Verifier {
    Hs256Verifier::new(&secret()).unwrap()
}

fn principal() -> Principal {
    let scopes = Scopes::NONE.with(Scope::Read).with(Scope::Write);
    Principal::new("robot", Some(TenantId::parse("acme").unwrap()), scopes).unwrap()
}

fn valid_for(seconds: u64) -> Validity {
    Validity { not_before: None, expires: at(NOW + seconds) }
}

/// A token with any claims and algorithm, signed with our secret.
fn signed(claims: &Value, algorithm: Algorithm) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret().expose().as_bytes()))
        .unwrap()
}

fn code_of(claims: &Value) -> &'static str {
    verifier().verify(&signed(claims, Algorithm::HS256), at(NOW)).unwrap_err().code()
}

#[test]
fn what_is_signed_verifies_to_the_same_principal() {
    let token = Hs256Signer::new(&secret()).unwrap().sign(&principal(), &valid_for(60)).unwrap();
    assert_eq!(verifier().verify(&token, at(NOW)).unwrap(), principal());

    let operator = Principal::new("ops", None, Scopes::NONE.with(Scope::Operator)).unwrap();
    let token = Hs256Signer::new(&secret()).unwrap().sign(&operator, &valid_for(60)).unwrap();
    assert_eq!(verifier().verify(&token, at(NOW)).unwrap(), operator);
}

#[test]
fn dates_are_signed_as_integers() {
    let validity = Validity { not_before: Some(at(NOW)), expires: at(NOW) + Duration::from_millis(60_900) };
    let token = Hs256Signer::new(&secret()).unwrap().sign(&principal(), &validity).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    // To `as_u64` a number that is written as `1.0` is no integer.
    assert_eq!((claims["exp"].as_u64(), claims["nbf"].as_u64()), (Some(NOW + 60), Some(NOW)), "{claims}");
}

#[test]
fn a_short_secret_is_refused_with_its_size() {
    let short = Secret::new("x".repeat(31));
    let error = Hs256Verifier::new(&short).unwrap_err();
    assert_eq!(error, KeyError::SecretTooShort { size: 31 });
    assert!(error.to_string().contains("31 bytes"), "{error}");
    assert!(Hs256Signer::new(&short).is_err());
}

#[test]
fn a_cached_token_still_expires() {
    let token = Hs256Signer::new(&secret()).unwrap().sign(&principal(), &valid_for(60)).unwrap();
    let verifier = verifier();
    for _ in 0..3 {
        assert!(verifier.verify(&token, at(NOW + 64)).is_ok());
    }
    assert_eq!(verifier.cache.len(), 1);
    let expired = AuthError::TokenExpired { seconds_ago: 5 };
    assert_eq!(verifier.verify(&token, at(NOW + 65)).unwrap_err(), expired);
    assert_eq!(verifier.cache.len(), 0, "a token that is over is not kept");
    assert_eq!(verifier.verify(&token, at(NOW + 65)).unwrap_err(), expired);
}

#[test]
fn a_cached_token_still_honours_nbf() {
    let validity = Validity { not_before: Some(at(NOW)), expires: at(NOW + 60) };
    let token = Hs256Signer::new(&secret()).unwrap().sign(&principal(), &validity).unwrap();
    let verifier = verifier();
    assert!(verifier.verify(&token, at(NOW)).is_ok());
    // A clock that was set back.
    assert_eq!(verifier.verify(&token, at(NOW - 60)).unwrap_err().code(), "token_not_yet_valid");
    assert!(verifier.verify(&token, at(NOW)).is_ok());
}

#[test]
fn refused_tokens_are_not_cached() {
    let verifier = verifier();
    let stranger = Hs256Signer::new(&Secret::new("f".repeat(32))).unwrap();
    let token = stranger.sign(&principal(), &valid_for(60)).unwrap();
    assert_eq!(verifier.verify(&token, at(NOW)).unwrap_err(), AuthError::SignatureInvalid);
    let expired = Hs256Signer::new(&secret()).unwrap().sign(&principal(), &valid_for(0)).unwrap();
    assert_eq!(verifier.verify(&expired, at(NOW + 10)).unwrap_err().code(), "token_expired");
    assert_eq!(verifier.cache.len(), 0);
}

#[test]
fn every_changed_character_is_noticed() {
    let token = Hs256Signer::new(&secret()).unwrap().sign(&principal(), &valid_for(60)).unwrap();
    let verifier = verifier();
    for position in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        // The last character of a part may carry bits that base64 does not use; they must be noticed as well.
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verifier.verify(&changed, at(NOW)).is_err(), "position {position} of {token}");
    }
}

#[test]
fn only_hs256_is_accepted() {
    let claims = json!({"sub": "s", "exp": NOW + 60, "tenant": "acme", "scopes": ["read"]});
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let error = verifier().verify(&signed(&claims, algorithm), at(NOW)).unwrap_err();
        assert_eq!(error, AuthError::AlgorithmUnsupported);
    }
    // The classic: no signature at all.
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    assert_eq!(verifier().verify(&unsigned, at(NOW)).unwrap_err().code(), "token_malformed");
}

#[test]
fn strange_claims_are_told_from_strange_tokens() {
    let good = json!({"sub": "s", "exp": NOW + 60, "tenant": "acme", "scopes": ["read"]});
    assert!(verifier().verify(&signed(&good, Algorithm::HS256), at(NOW)).is_ok());
    for (claim, value) in [
        ("exp", json!(null)),
        ("exp", json!("1700000060")),
        ("nbf", json!("1700000000")),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("tenant", json!("not/a/tenant")),
        ("tenant", json!(null)),
        ("scopes", json!("read")),
        ("scopes", json!(["operator"])),
        ("aud", json!("another-service")),
    ] {
        let mut claims = good.clone();
        claims[claim] = value.clone();
        assert_eq!(code_of(&claims), "token_claims_invalid", "{claim}: {value}");
    }
    let mut without_exp = good;
    without_exp.as_object_mut().unwrap().remove("exp");
    assert_eq!(code_of(&without_exp), "token_claims_invalid");
}

#[test]
fn what_is_no_token_is_malformed_or_missing() {
    let verifier = verifier();
    assert_eq!(verifier.verify("", at(NOW)).unwrap_err(), AuthError::TokenMissing);
    for text in ["x", "a.b", "a.b.c", "....", "ü.ü.ü", &"x".repeat(9000), "\0"] {
        assert_eq!(verifier.verify(text, at(NOW)).unwrap_err().code(), "token_malformed", "{text:?}");
    }
    assert_eq!(verifier.verify("eyJhbGciOiJIUzI1NiJ9..", at(NOW)).unwrap_err(), AuthError::SignatureInvalid);
}

#[test]
fn nothing_shows_the_secret() {
    let signer = Hs256Signer::new(&secret()).unwrap();
    let shown = format!("{:?} {signer:?}", verifier());
    assert!(!shown.contains("0123456789"), "{shown}");
}
