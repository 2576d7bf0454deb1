//! What the writer needs to recognise a repeat: the same parts with the same numbers, hashes and shards.

use luminate_queue::IdempotencyHeaders;

use crate::fixture::{Fixture, NOW, Stored, metric, metrics, post};

async fn send(fixture: &Fixture, key: &str, body: &str) {
    let answer = fixture.send(post("application/json", &[("idempotency-key", key)], body.to_owned())).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

fn headers(stored: &[Stored]) -> Vec<IdempotencyHeaders> {
    stored.iter().map(|record| record.idempotency.unwrap()).collect()
}

/// More samples than a range has, over several series.
fn large(valid: impl Fn(usize) -> bool) -> String {
    let metric = |n: usize| {
        let timestamp = if valid(n) { NOW } else { NOW * 2 };
        format!(r#"{{"name":"m","timestamp":{timestamp},"value":{n},"dimensions":{{"host":"h{}"}}}}"#, n % 50)
    };
    metrics(&(0..25_000).map(metric).collect::<Vec<_>>())
}

#[tokio::test]
async fn a_repeat_has_the_same_headers_and_another_body_or_key_has_not() {
    let fixture = Fixture::new();
    let (one, other) = (metrics(&[metric("a", 1.0)]), metrics(&[metric("a", 2.0)]));
    for (key, body) in [("k", &one), ("k", &one), ("k", &other), ("l", &one)] {
        send(&fixture, key, body).await;
    }
    let headers = headers(&fixture.stored().await);
    let [first, repeat, other_body, other_key] = headers[..] else { panic!("{headers:?}") };
    assert_eq!((first.part, first.parts), (0, 1));
    assert_eq!(first, repeat);
    assert!(first.key == other_body.key && first.body != other_body.body);
    assert!(first.key != other_key.key && first.body == other_key.body);
}

#[tokio::test]
async fn compression_does_not_make_another_body() {
    let fixture = Fixture::new();
    let body = metrics(&[metric("a", 1.0)]);
    let zstd = zstd::encode_all(body.as_bytes(), 1).unwrap();
    send(&fixture, "k", &body).await;
    let headers_of = [("idempotency-key", "k"), ("content-encoding", "zstd")];
    assert_eq!(fixture.send(post("application/json", &headers_of, zstd)).await.status, 202);
    let headers = headers(&fixture.stored().await);
    assert_eq!(headers[0], headers[1]);
}

#[tokio::test]
async fn no_key_no_headers() {
    let fixture = Fixture::new();
    fixture.json(metrics(&[metric("a", 1.0)])).await;
    assert_eq!(fixture.stored().await[0].idempotency, None);
    let answer = fixture.send(post("application/json", &[("idempotency-key", "a b")], "{}")).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "idempotency_key_invalid"));
}

#[tokio::test]
async fn parts_do_not_depend_on_what_is_valid() {
    let sharded = || Fixture::configured(|config| config.shards.default = 3.try_into().unwrap());
    let (all, some) = (sharded(), sharded());
    // Nothing of the second range is valid at the second try, nor some samples of the others.
    send(&all, "k", &large(|_| true)).await;
    send(&some, "k", &large(|n| !(10_000..20_000).contains(&n) && n % 7 != 0)).await;
    let number = |record: &Stored| record.idempotency.unwrap().part;
    let (mut all, mut some) = (all.stored().await, some.stored().await);
    all.sort_by_key(number);
    some.sort_by_key(number);

    assert_eq!(all.iter().map(number).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
    assert_eq!(some.iter().map(number).collect::<Vec<_>>(), [0, 1, 2, 6, 7, 8], "parts without samples are not sent");
    for record in all.iter().chain(&some) {
        let part = number(record);
        assert_eq!(record.idempotency.unwrap().parts, 9);
        assert_eq!(record.key, format!("acme/{}", part % 3));
        for sample in &record.samples {
            assert_eq!(sample.value as u32 / 10_000, part / 3, "a range has its own samples");
            assert_eq!(sample.series_id().0 % 3, u128::from(part % 3), "a shard has its own series");
        }
    }
    assert_eq!(all.iter().map(|record| record.samples.len()).sum::<usize>(), 25_000);
}

#[tokio::test]
async fn large_samples_make_more_parts() {
    let fixture = Fixture::new();
    let long = "x".repeat(2000);
    let metric = |n: usize| {
        let dimensions: Vec<_> = (0..50).map(|d| format!(r#""d{d}":"{n}{long}""#)).collect();
        format!(r#"{{"name":"m","timestamp":{NOW},"value":1,"dimensions":{{{}}}}}"#, dimensions.join(","))
    };
    let body = metrics(&(0..40).map(metric).collect::<Vec<_>>());
    assert!(body.len() > 3 << 20);
    let answer =
        fixture.ndjson(body.trim_start_matches("{\"metrics\":[").trim_end_matches("]}").replace("},{", "}\n{")).await;
    assert_eq!(answer.body["accepted"], 40, "{answer:?}");
    send(&fixture, "k", &body).await;
    let stored = fixture.stored().await;
    assert_eq!(stored.iter().map(|record| record.samples.len()).collect::<Vec<_>>(), [11, 11, 11, 7, 11, 11, 11, 7]);
}
