//! Tokens that are none, not ours, not now, or not enough: each is refused with its own code, before a body is read.

use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use luminate_tests::server::{SECRET, token};
use luminate_tests::tokens::{claims, now_seconds, signed, signed_as, unsigned};
use luminate_tests::{Client, RawConnection, Server};
use serde_json::{Value, json};

use crate::hostile_bodies::assert_well;

const QUERY: &str = "/api/v1/query";

/// A write request that is good but for who sends it.
fn write_with(server: &Server, authorization: &str) -> luminate_tests::Answer {
    let body = json!({"metrics": [{"name": "m", "timestamp": 1, "value": 1}]});
    let client = Client::new(server.url(), "");
    let headers = [("Authorization", authorization)];
    let headers = if authorization.is_empty() { &headers[..0] } else { &headers[..] };
    client.post_json("/api/v1/write", headers, &body).unwrap_or_else(|error| panic!("{authorization}: {error}"))
}

/// Good claims with one of them changed; null takes it out.
fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims("acme", &["read", "write"]);
    let members = claims.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    claims
}

#[test]
fn the_tokens_of_this_test_are_like_the_products() {
    let server = Server::start();
    let answer = write_with(&server, &format!("Bearer {}", signed(&claims("acme", &["write"]))));
    assert_eq!(answer.status, 202, "or the others are refused for a reason that is not tested: {}", answer.json());
    for (case, name, value) in [
        ("a fraction of a second", "exp", json!(now_seconds() as f64 + 60.5)),
        ("a scope of a later version", "scopes", json!(["write", "fly"])),
        ("just expired, within the leeway", "exp", json!(now_seconds() - 1)),
    ] {
        let answer = write_with(&server, &format!("Bearer {}", signed(&claims_with(name, value))));
        assert_eq!(answer.status, 202, "{case}: {}", answer.json());
    }
    let basic = STANDARD.encode(format!("anyone:{}", signed(&claims("acme", &["write"]))));
    assert_eq!(write_with(&server, &format!("Basic {basic}")).status, 202);
}

#[test]
fn what_is_no_token_of_ours_is_refused() {
    let server = Server::start();
    let good = signed(&claims("acme", &["read", "write"]));
    let (content, signature) = good.rsplit_once('.').unwrap();
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let none = |name: &str| format!("{}.", unsigned(&json!({"alg": name, "typ": "JWT"}), &claims("acme", &["write"])));
    let other = signed(&claims("victim", &["write", "admin"]));
    let (other_claims, _) = other.rsplit_once('.').unwrap();
    let (_, another) = other.rsplit_once('.').unwrap();
    let bearer = |token: &str| format!("Bearer {token}");
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let cases = [
        ("no header", String::new(), "token_missing"),
        ("Bearer alone", "Bearer".to_owned(), "token_missing"),
        ("Basic without a password", basic("user:"), "token_missing"),
        ("another scheme", format!("Digest {good}"), "token_malformed"),
        ("the token alone", good.clone(), "token_missing"),
        ("a word", bearer("hunter2"), "token_malformed"),
        ("two parts", bearer(content), "token_malformed"),
        ("four parts", bearer(&format!("{good}.x")), "token_malformed"),
        ("three dots", bearer("..."), "token_malformed"),
        ("bytes that are no base64", bearer("e30.!!!.e30"), "token_malformed"),
        ("a header that is no JSON", bearer("aGVsbG8.e30.e30"), "token_malformed"),
        ("Basic that is no base64", "Basic ???".to_owned(), "token_malformed"),
        ("Basic without a colon", basic("user"), "token_malformed"),
        ("30 KB of nonsense", bearer(&"a".repeat(30_000)), "token_malformed"),
        ("alg none", bearer(&none("none")), "token_malformed"),
        ("alg None", bearer(&none("None")), "token_malformed"),
        (
            "HS512 with our secret",
            bearer(&signed_as(&json!({"alg": "HS512"}), &claims("acme", &["write"]), HMAC_SHA512, SECRET)),
            "token_algorithm_unsupported",
        ),
        (
            "called RS256",
            bearer(&signed_as(&json!({"alg": "RS256"}), &claims("acme", &["write"]), HMAC_SHA256, SECRET)),
            "token_algorithm_unsupported",
        ),
        (
            "another secret",
            bearer(&signed_as(&header, &claims("acme", &["write"]), HMAC_SHA256, &SECRET.to_uppercase())),
            "token_signature_invalid",
        ),
        (
            "no secret",
            bearer(&signed_as(&header, &claims("acme", &["write"]), HMAC_SHA256, "")),
            "token_signature_invalid",
        ),
        (
            "other claims under a good signature",
            bearer(&format!("{other_claims}.{signature}")),
            "token_signature_invalid",
        ),
        ("another signature", bearer(&format!("{content}.{another}")), "token_signature_invalid"),
        ("no signature", bearer(&format!("{content}.")), "token_signature_invalid"),
        ("half a signature", bearer(&format!("{content}.{}", &signature[..20])), "token_signature_invalid"),
    ];
    for (case, authorization, code) in cases {
        write_with(&server, &authorization).assert_problem(case, 401, code);
    }
    let two = [("Authorization", bearer(&good)), ("Authorization", bearer(&good))];
    let two: Vec<(&str, &str)> = two.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = Client::new(server.url(), "").send("GET", "/api/v1/metrics", &two, b"").unwrap();
    answer.assert_problem("two headers", 401, "token_malformed");
    let answer = Client::new(server.url(), "").get(&format!("/api/v1/metrics?token={good}&access_token={good}"));
    answer.assert_problem("a token in the address", 401, "token_missing");
    assert_well(&server, "tokens that are none");
}

#[test]
fn what_a_token_claims_must_make_sense_now() {
    let server = Server::start();
    let now = now_seconds();
    let cases = [
        ("expired", claims_with("exp", json!(now - 60)), "token_expired"),
        ("expired in 1970", claims_with("exp", json!(0)), "token_expired"),
        ("expired before 1970", claims_with("exp", json!(-1e300)), "token_expired"),
        ("not yet", claims_with("nbf", json!(now + 60)), "token_not_yet_valid"),
        ("not in this world", claims_with("nbf", json!(1e300)), "token_not_yet_valid"),
        ("without an end", claims_with("exp", Value::Null), "token_claims_invalid"),
        ("an end in quotes", claims_with("exp", json!((now + 60).to_string())), "token_claims_invalid"),
        ("without a subject", claims_with("sub", Value::Null), "token_claims_invalid"),
        ("without a tenant", claims_with("tenant", Value::Null), "token_claims_invalid"),
        ("a tenant that is a list", claims_with("tenant", json!(["acme", "other"])), "token_claims_invalid"),
        ("an empty tenant", claims_with("tenant", json!("")), "token_claims_invalid"),
        ("a tenant with a slash", claims_with("tenant", json!("a/0")), "token_claims_invalid"),
        ("a tenant with dots", claims_with("tenant", json!("../other")), "token_claims_invalid"),
        ("a tenant with a NUL", claims_with("tenant", json!("acme\0")), "token_claims_invalid"),
        ("a tenant with a newline", claims_with("tenant", json!("acme\n")), "token_claims_invalid"),
        ("a tenant of 65 characters", claims_with("tenant", json!("t".repeat(65))), "token_claims_invalid"),
        ("scopes in one string", claims_with("scopes", json!("read write")), "token_claims_invalid"),
        ("meant for someone else", claims_with("aud", json!("elsewhere")), "token_claims_invalid"),
        ("an operator with a tenant", claims("acme", &["operator", "write"]), "token_claims_invalid"),
    ];
    for (case, claims, code) in cases {
        write_with(&server, &format!("Bearer {}", signed(&claims))).assert_problem(case, 401, code);
    }
    assert_well(&server, "claims");
}

#[test]
fn each_door_wants_its_scope() {
    let server = Server::start();
    let query = json!({"queryType": "raw", "metricName": "m", "timeRange": {"relative": "1h"}});
    let refused = |scopes: &str, method: &str, path: &str, body: &Value| {
        let client = Client::new(server.url(), &token("acme", scopes));
        let headers = [("Content-Type", "application/json")];
        let answer = client.send(method, path, &headers, body.to_string().as_bytes()).unwrap();
        answer.assert_problem(&format!("{scopes} at {method} {path}"), 403, "scope_missing");
    };
    for scopes in ["read", "admin", "read,admin"] {
        refused(scopes, "POST", "/api/v1/write", &json!({"metrics": []}));
    }
    for scopes in ["write", "admin"] {
        refused(scopes, "POST", QUERY, &query);
        for path in ["/api/v1/metrics", "/api/v1/dimensions", "/api/v1/dimensions/k/values"] {
            refused(scopes, "GET", path, &Value::Null);
        }
    }
    for scopes in ["read", "write", "read,write"] {
        refused(scopes, "GET", "/api/v1/admin/dead-letters", &Value::Null);
        refused(scopes, "GET", "/api/v1/admin/watermarks", &Value::Null);
        refused(scopes, "POST", "/api/v1/admin/erase", &json!({"tenant": "acme"}));
    }
    let nothing = Client::new(server.url(), &signed(&claims("acme", &[])));
    nothing.get("/api/v1/metrics").assert_problem("no scope at all", 403, "scope_missing");
    assert_well(&server, "scopes");
}

#[test]
fn an_admin_rules_its_own_tenant_and_an_operator_must_name_one() {
    let server = Server::start();
    let victim = server.client("victim");
    let receipt = victim.write_all(&json!({"metrics": [{"name": "m", "timestamp": 1, "value": 1}]}));
    assert_eq!(victim.count(Some(&receipt), "m"), 1);

    let admin = server.admin("acme");
    let erase = |client: &Client, body: &Value| client.post_json("/api/v1/admin/erase", &[], body).unwrap();
    erase(&admin, &json!({"tenant": "victim"})).assert_problem("another tenant", 403, "tenant_forbidden");
    admin.get("/api/v1/admin/dead-letters?tenant=victim").assert_problem("letters", 403, "tenant_forbidden");
    let purge = admin.post_json("/api/v1/admin/dead-letters/purge", &[], &json!({"tenant": "victim"})).unwrap();
    purge.assert_problem("a purge", 403, "tenant_forbidden");

    let operator = signed(&json!({"sub": "op", "exp": now_seconds() + 60, "scopes": ["operator"]}));
    let operator = Client::new(server.url(), &operator);
    erase(&operator, &json!({})).assert_problem("no tenant", 400, "tenant_required");
    operator.write(&json!({"metrics": []})).unwrap().assert_problem("an operator writes", 403, "scope_missing");
    operator.get("/api/v1/metrics").assert_problem("an operator reads", 403, "scope_missing");
    assert_eq!(victim.count(None, "m"), 1, "nothing of the victim may be gone");
}

/// A stranger's body is not even waited for.
#[test]
fn a_token_is_judged_before_the_body_is_read() {
    let server = Server::start();
    let host = server.url().trim_start_matches("http://");
    for (authorization, code) in [("", "token_missing"), ("Authorization: Bearer nonsense\r\n", "token_malformed")] {
        let mut connection = RawConnection::open(server.url());
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: {host}\r\n{authorization}Content-Type: application/json\r\n\
             Content-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n"
        );
        assert!(connection.send(head.as_bytes()));
        connection.outcome().answer().assert_problem(code, 401, code);
    }
    assert_well(&server, "strangers");
}
