#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Keeps what a decoder gives, owned.
#[derive(Default)]
struct Collected {
    places: Vec<usize>,
    samples: Vec<Result<Owned, &'static str>>,
}

/// A decoded sample that borrows nothing.
#[derive(Debug, Clone, PartialEq)]
struct Owned {
    name: String,
    timestamp: i64,
    value: f64,
    dimensions: Vec<(String, String)>,
}

impl<'b> SampleSink<'b> for Collected {
    fn take(&mut self, at: usize, sample: Result<&mut DecodedSample<'b>, Reject>) -> Result<(), RequestFault> {
        self.places.push(at);
        let own = |sample: &mut DecodedSample<'b>| Owned {
            name: sample.name.to_string(),
            timestamp: sample.timestamp,
            value: sample.value,
            dimensions: sample.dimensions.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        };
        self.samples.push(sample.map(own).map_err(|reject| reject.code.code()));
        Ok(())
    }
}

fn decode(decoder: &dyn Decoder, body: &[u8]) -> Result<Collected, RequestFault> {
    let mut collected = Collected::default();
    decoder.decode(body, &mut collected)?;
    Ok(collected)
}

fn sample() -> impl Strategy<Value = Owned> {
    let text = || prop_oneof![3 => "[a-z_/]{0,12}", 1 => any::<String>()];
    let dimensions = prop::collection::hash_map(text(), text(), 0..8);
    (text(), any::<i64>(), any::<f64>().prop_filter("finite", |value| value.is_finite()), dimensions).prop_map(
        |(name, timestamp, value, dimensions)| Owned {
            name,
            timestamp,
            value,
            dimensions: dimensions.into_iter().collect(),
        },
    )
}

fn to_json(sample: &Owned) -> Value {
    let dimensions: BTreeMap<_, _> = sample.dimensions.iter().cloned().collect();
    json!({"dimensions": dimensions, "value": sample.value, "timestamp": sample.timestamp, "name": sample.name})
}

fn sorted(mut sample: Owned) -> Owned {
    sample.dimensions.sort();
    sample
}

/// Writes every character above ASCII, and some within, as an escape.
fn escaped(json: &str) -> String {
    let units = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect::<String>();
    json.chars().map(|c| if c.is_ascii() && c != 'e' { c.to_string() } else { units(c) }).collect()
}

/// What the library says. Where it ignores a value, it does not look whether that is text.
fn is_json(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

proptest! {
    #![proptest_config(crate::seeded_proptest(200))]

    #[test]
    fn samples_come_out_as_they_were_written(samples in prop::collection::vec(sample(), 0..6), is_pretty in any::<bool>()) {
        let document = json!({"metrics": samples.iter().map(to_json).collect::<Vec<_>>()});
        let text = if is_pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) }.unwrap();
        let expected: Vec<_> = samples.iter().cloned().map(sorted).map(Ok).collect();
        let collected = decode(&JsonDecoder, text.as_bytes()).unwrap();
        let read: Vec<_> = collected.samples.into_iter().map(|sample| sample.map(sorted)).collect();
        prop_assert_eq!(&read, &expected);
        for at in collected.places {
            prop_assert_eq!(text.as_bytes()[at], b'{', "a sample's place is its first byte");
        }

        let lines: String = samples.iter().map(|sample| format!(" {}\r\n\n", to_json(sample))).collect();
        let collected = decode(&NdjsonDecoder, lines.as_bytes()).unwrap();
        let read: Vec<_> = collected.samples.into_iter().map(|sample| sample.map(sorted)).collect();
        prop_assert_eq!(&read, &expected);
    }

    /// What is borrowed and what had to be unescaped are the same sample.
    #[test]
    fn borrowed_is_owned(sample in sample()) {
        // Numbers hold an `e` as well, but in JSON no escape is a number.
        let sample = Owned { value: 1.5, ..sample };
        let plain = to_json(&sample).to_string();
        let read = |text: &str| decode(&NdjsonDecoder, text.as_bytes()).unwrap().samples;
        prop_assert_eq!(read(&escaped(&plain)), read(&plain));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&JsonDecoder, &bytes).is_err());
        let lines = decode(&NdjsonDecoder, &bytes).unwrap();
        prop_assert!(lines.samples.iter().all(Result::is_err));
    }

    /// Whatever is done to a document: it is refused as malformed where it is no JSON, and only there.
    #[test]
    fn spoilt_documents_are_malformed_where_the_library_says_so(
        samples in prop::collection::vec(sample(), 1..4), at in any::<prop::sample::Index>(), spoil in "[\\PC\\\\\"\\[\\]{}:,0-9eE.+-]{0,2}",
    ) {
        let text = json!({"metrics": samples.iter().map(to_json).collect::<Vec<_>>()}).to_string();
        let mut spoilt = text.into_bytes();
        let place = at.index(spoilt.len());
        spoilt.splice(place..=place, spoil.into_bytes());
        match decode(&JsonDecoder, &spoilt) {
            Ok(_) => prop_assert!(is_json(&spoilt), "{}", String::from_utf8_lossy(&spoilt)),
            Err(RequestFault::MalformedJson { at, .. }) => {
                prop_assert!(!is_json(&spoilt), "{}", String::from_utf8_lossy(&spoilt));
                prop_assert!(at <= spoilt.len());
            }
            // Found before the end was seen, so it may be either.
            Err(RequestFault::InvalidRequest(_)) => {}
            Err(fault) => panic!("{fault}"),
        }
    }
}

#[test]
fn the_memory_of_one_sample_serves_the_next_and_keeps_nothing_of_it() {
    let body = br#"{"metrics":[{"name":"a","timestamp":1,"value":1,"dimensions":{"k":"v"}},{"name":"b","timestamp":2,"value":2}]}"#;
    let samples = decode(&JsonDecoder, body).unwrap().samples;
    let b = Owned { name: "b".to_owned(), timestamp: 2, value: 2.0, dimensions: Vec::new() };
    assert_eq!(samples.last().unwrap().as_ref().unwrap(), &b);
}

#[test]
fn numbers_are_read_to_their_last_digit() {
    for (text, value) in [
        ("0", 0.0),
        ("-0", -0.0),
        ("9007199254740993", 9_007_199_254_740_992.0),
        ("0.1", 0.1),
        ("5e-324", 5e-324),
        ("1e-400", 0.0),
        ("1.7976931348623157e308", f64::MAX),
        ("123456789012345678901234567890", 123_456_789_012_345_678_901_234_567_890.0),
    ] {
        let line = format!(r#"{{"name":"m","timestamp":-9223372036854775808,"value":{text}}}"#);
        let sample = decode(&NdjsonDecoder, line.as_bytes()).unwrap().samples.remove(0).unwrap();
        assert_eq!((sample.timestamp, sample.value.to_bits()), (i64::MIN, f64::to_bits(value)), "{text}");
    }
}
