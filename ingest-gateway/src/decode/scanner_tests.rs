#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

fn skip(text: &str) -> Result<(), SyntaxError> {
    let mut scanner = Scanner::new(text);
    scanner.skip_value()?;
    scanner.expect_end()
}

#[test]
fn takes_what_json_is() {
    for good in [
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "12",
        "-1.5e+10",
        "0.1E-7",
        "\"\"",
        "\"a\\\"b\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
        "[]",
        "{}",
        "[1, [2, {\"a\": [null]}], {}]",
        "{\"a\": {}, \"b\": []}",
        "\"ä€😀\"",
        "[\n]\r\n\t",
    ] {
        assert_eq!(skip(good), Ok(()), "{good}");
    }
}

#[test]
fn tells_the_place_of_a_fault() {
    let error = |text| skip(text).map_err(|error| (error.fault, error.at));
    assert_eq!(error(""), Err(("expected a value", 0)));
    assert_eq!(error("[1,]"), Err(("expected a value", 3)));
    assert_eq!(error("{\"a\" 1}"), Err(("expected `:`", 5)));
    assert_eq!(error("{a:1}"), Err(("expected a key in quotes", 1)));
    assert_eq!(error("{\"a\":1,}"), Err(("expected a key in quotes", 7)));
    assert_eq!(error("[1}"), Err(("expected `,` or `]`", 2)));
    assert_eq!(error("{\"a\":1]"), Err(("expected `,` or `}`", 6)));
    assert_eq!(error("01"), Err(("expected the end", 1)));
    assert_eq!(error("-"), Err(("expected a digit", 1)));
    assert_eq!(error("1."), Err(("expected a digit", 2)));
    assert_eq!(error("1e"), Err(("expected a digit", 2)));
    assert_eq!(error("nul"), Err(("expected a value", 0)));
    assert_eq!(error("\"a"), Err(("a string without an end", 2)));
    assert_eq!(error("\"a\nb\""), Err(("control character in a string", 2)));
    assert_eq!(error("\"a\\x\""), Err(("invalid escape in a string", 2)));
    assert_eq!(error("\"a\\u12g4\""), Err(("invalid escape in a string", 2)));
}

#[test]
fn depth_is_bounded_without_recursion() {
    let nested = |depth: usize| "[".repeat(depth) + "1" + &"]".repeat(depth);
    assert_eq!(skip(&nested(MAX_DEPTH as usize)), Ok(()));
    assert_eq!(skip(&nested(MAX_DEPTH as usize + 1)).unwrap_err().fault, "nested too deep");
    assert_eq!(skip(&"[".repeat(1_000_000)).unwrap_err().fault, "nested too deep");
    assert_eq!(skip(&"{\"a\":".repeat(1_000_000)).unwrap_err().fault, "nested too deep");
}

#[test]
fn surrogates_come_in_pairs() {
    let text = |raw: &str| Scanner::new(&format!("\"{raw}\"")).string().unwrap().text().map(Cow::into_owned);
    assert_eq!(text("\\ud83d\\ude00"), Ok("😀".to_owned()));
    assert_eq!(text("\\uD83D\\uDE00x"), Ok("😀x".to_owned()));
    for lone in ["\\ud83d", "\\ude00", "\\ud83dx", "\\ud83d\\ud83d", "\\ude00\\ud83d", "\\ud83d\\n", "\\ud83d\\u0041"] {
        assert_eq!(text(lone), Err(LoneSurrogate), "{lone}");
    }
}

/// Whatever JSON there is, as text with white space.
fn json_text() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        (-1e300..1e300).prop_map(|n: f64| format!("{n:e}")),
        any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
    ];
    scalar.prop_recursive(4, 40, 5, |inner| {
        let key = any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[ {} ]", items.join(" ,\n"))),
            prop::collection::vec((key, inner), 0..5).prop_map(|members| {
                let members: Vec<_> = members.into_iter().map(|(key, value)| format!("{key}\t: {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// The same judgement as the library's. It calls half of a surrogate pair an error of syntax, which here is one of text.
fn library_takes(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

proptest! {
    #![proptest_config(crate::seeded_proptest(256))]

    #[test]
    fn judges_as_the_library_does(text in json_text(), at in any::<prop::sample::Index>(), spoil in "[\\PC\\\\\"\\[\\]{}:,0-9eE.+-]{0,2}") {
        prop_assert_eq!(skip(&text), Ok(()));
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let place = places[at.index(places.len())];
        let next = place + text[place..].chars().next().map_or(0, char::len_utf8);
        let spoilt = format!("{}{spoil}{}", &text[..place], &text[next..]);
        prop_assert_eq!(skip(&spoilt).is_ok(), library_takes(&spoilt), "{}", spoilt);
    }

    #[test]
    fn strings_are_the_librarys(string in any::<String>(), ascii in any::<bool>()) {
        let mut written = serde_json::to_string(&string).unwrap();
        if ascii {
            let units = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04x}")).collect::<String>();
            written = written.chars().map(|c| if c.is_ascii() { c.to_string() } else { units(c) }).collect();
        }
        let mut scanner = Scanner::new(&written);
        let read = scanner.string().unwrap();
        scanner.expect_end().unwrap();
        let text = read.text().unwrap();
        prop_assert_eq!(&text, &string);
        prop_assert_eq!(matches!(text, Cow::Borrowed(_)), !written.contains('\\'));
    }

    #[test]
    fn finds_the_next_special_byte_wherever_it_stands(bytes in prop::collection::vec(any::<u8>(), 0..40), from in 0_usize..40) {
        let slow = (from.min(bytes.len())..bytes.len()).find(|at| matches!(bytes[*at], b'"' | b'\\' | 0..0x20));
        prop_assert_eq!(next_special(&bytes, from.min(bytes.len())), slow.unwrap_or(bytes.len()));
    }
}
