//! Tests of rate limits.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use axum::response::IntoResponse as _;
use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use super::*;
use crate::telemetry::Process;

const LIMIT: RateLimit =
    RateLimit { unit: "samples", per_second: NonZeroU32::new(10).unwrap(), burst: NonZeroU32::new(50).unwrap() };

struct Setup {
    limiter: TenantRateLimiter<FakeRelativeClock>,
    clock: FakeRelativeClock,
    metrics: Metrics,
}

fn setup() -> Setup {
    let metrics = Metrics::new(&[Process::Gateway]).unwrap();
    let clock = FakeRelativeClock::default();
    Setup { limiter: TenantRateLimiter::with_clock(Some(LIMIT), &metrics, clock.clone()), clock, metrics }
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

#[test]
fn a_tenant_has_its_burst_and_then_its_rate() {
    let setup = setup();
    let acme = tenant("acme");
    assert_eq!(setup.limiter.check(&acme, 50), Ok(()));
    let refused = setup.limiter.check(&acme, 10).unwrap_err();
    assert_eq!(refused, RateLimited { limit: LIMIT, retry_after: Duration::from_secs(1) });
    setup.clock.advance(refused.retry_after);
    assert_eq!(setup.limiter.check(&acme, 10), Ok(()));
    assert!(setup.limiter.check(&acme, 1).is_err());
}

#[test]
fn one_tenant_does_not_take_from_another() {
    let setup = setup();
    assert_eq!(setup.limiter.check(&tenant("greedy"), 50), Ok(()));
    assert!(setup.limiter.check(&tenant("greedy"), 1).is_err());
    assert_eq!(setup.limiter.check(&tenant("modest"), 50), Ok(()));
}

#[test]
fn a_request_larger_than_the_burst_takes_the_whole_of_it() {
    let setup = setup();
    assert_eq!(setup.limiter.check(&tenant("acme"), 1_000_000), Ok(()));
    let refused = setup.limiter.check(&tenant("acme"), 1_000_000).unwrap_err();
    setup.clock.advance(refused.retry_after);
    assert_eq!(setup.limiter.check(&tenant("acme"), 1_000_000), Ok(()), "it passes in the end");
}

#[test]
fn no_limit_and_no_cells_pass() {
    let metrics = Metrics::new(&[Process::Gateway]).unwrap();
    let off = TenantRateLimiter::new(None, &metrics);
    for _ in 0..1000 {
        assert_eq!(off.check(&tenant("acme"), u32::MAX), Ok(()));
    }
    let setup = setup();
    for _ in 0..1000 {
        assert_eq!(setup.limiter.check(&tenant("acme"), 0), Ok(()));
    }
}

#[test]
fn refusals_are_counted_by_tenant_up_to_a_bound() {
    let setup = setup();
    for number in 0..NAMED_TENANTS + 5 {
        let tenant = tenant(&format!("t{number}"));
        assert_eq!(setup.limiter.check(&tenant, 50), Ok(()));
        assert!(setup.limiter.check(&tenant, 1).is_err());
    }
    let scraped = setup.metrics.render().unwrap();
    assert!(scraped.contains("luminate_rate_limit_exceeded_total 1005\n"));
    assert!(scraped.contains("luminate_rate_limit_rejected_total{tenant_id=\"t0\"} 1\n"));
    assert!(scraped.contains("luminate_rate_limit_rejected_total{tenant_id=\"_other\"} 5\n"));
    assert!(!scraped.contains("tenant_id=\"t1000\""));
}

#[test]
fn idle_tenants_are_forgotten_and_busy_ones_are_not() {
    let setup = setup();
    let limiter = setup.limiter.0.as_ref().unwrap();
    setup.limiter.check(&tenant("idle"), 50).unwrap();
    setup.clock.advance(Duration::from_secs(60));
    setup.limiter.check(&tenant("busy"), 50).unwrap();
    limiter.forget_idle_tenants();
    assert_eq!(limiter.buckets.len(), 1);
    assert!(setup.limiter.check(&tenant("busy"), 50).is_err(), "its count is not forgotten");
}

#[test]
fn a_refusal_tells_when_to_come_again() {
    let refused = RateLimited { limit: LIMIT, retry_after: Duration::from_millis(1500) };
    let response = refused.problem(RateLimitRefusal::TooManyRequests).into_response();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(response.headers()["ratelimit"], "\"samples\";r=0;t=2");
    assert_eq!(response.headers()["ratelimit-policy"], "\"samples\";q=10;w=1");
    let response = refused.problem(RateLimitRefusal::Unavailable).into_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

proptest! {
    #![proptest_config(crate::seeded_proptest())]

    #[test]
    fn nobody_gets_more_than_burst_and_rate(steps in prop::collection::vec((0..80_u32, 0..3000_u64), 1..60)) {
        let setup = setup();
        let acme = tenant("acme");
        let (mut passed, mut elapsed) = (0, 0);
        for (cells, pause_ms) in steps {
            if setup.limiter.check(&acme, cells).is_ok() {
                passed += u64::from(cells.min(LIMIT.burst.get()));
            }
            prop_assert!(passed <= 50 + elapsed * 10 / 1000);
            setup.clock.advance(Duration::from_millis(pause_ms));
            elapsed += pause_ms;
        }
    }
}
