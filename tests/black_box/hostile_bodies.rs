//! Bodies that are none, or too much: each is refused with its own code, and the server goes on as if nothing had been.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use luminate_tests::samples::now_ms;
use luminate_tests::{Client, RawConnection, Server, ServerOptions};
use serde_json::{Value, json};

const WRITE: &str = "/api/v1/write";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Small limits, so that what exceeds them is quickly sent.
const SMALL: &str = "
gateway:
  maxBodyBytes: 64KiB
  maxDecompressedBytes: 256KiB
  maxSamples: 100
";

fn small_server() -> Server {
    Server::start_with(ServerOptions { config: SMALL.to_owned(), ..ServerOptions::default() })
}

/// A body that must be taken.
fn good_body() -> Value {
    json!({"metrics": [{"name": "good", "timestamp": now_ms(), "value": 1}]})
}

/// Asserts that a good request still is answered as it should be.
#[track_caller]
pub(crate) fn assert_well(server: &Server, after: &str) {
    let answer = server_client(server).write(&good_body()).unwrap_or_else(|error| panic!("after {after}: {error}"));
    assert_eq!(answer.status, 202, "after {after}: {}", answer.json());
}

fn server_client(server: &Server) -> Client {
    server.client("well")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A frame of zstd by hand: `blocks` blocks that each say "128 KiB of this byte", with a window of 2 to the `window_log`.
fn zstd_of_one_byte(byte: u8, blocks: usize, window_log: u8) -> Vec<u8> {
    const BLOCK_BYTES: u32 = 128 << 10;
    const RUN: u32 = 1;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3];
    for block in 1..=blocks {
        let header = BLOCK_BYTES << 3 | RUN << 1 | u32::from(block == blocks);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(byte);
    }
    frame
}

/// Sends each body as JSON; each must be refused so.
#[track_caller]
fn assert_refused(server: &Server, headers: &[(&str, &str)], cases: &[(&str, Vec<u8>, u16, &str)]) {
    let client = server.client("hostile");
    for (case, body, status, code) in cases {
        let answer = client.send("POST", WRITE, headers, body).unwrap_or_else(|error| panic!("{case}: {error}"));
        answer.assert_problem(case, *status, code);
        assert_well(server, case);
    }
    assert_eq!(client.get("/api/v1/metrics").json()["metrics"], json!([]), "nothing of a refused body may be stored");
}

#[test]
fn what_is_not_json_is_refused_as_a_whole() {
    let server = Server::start();
    let with_value =
        |value: &str| format!(r#"{{"metrics":[{{"name":"m","timestamp":1,"value":{value}}}]}}"#).into_bytes();
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend(r#"{"metrics":[]}"#.encode_utf16().flat_map(u16::to_le_bytes));
    let cases = [
        ("nothing", b"".to_vec()),
        ("white space", b" \r\n\t".to_vec()),
        ("words", b"hello".to_vec()),
        ("a document without its end", br#"{"metrics":[{"name":"m""#.to_vec()),
        ("a string without its end", br#"{"metrics":["x"#.to_vec()),
        ("a comma too many", br#"{"metrics":[],}"#.to_vec()),
        ("two documents", br#"{"metrics":[]}{"metrics":[]}"#.to_vec()),
        ("single quotes", b"{'metrics':[]}".to_vec()),
        ("a comment", b"{/* */\"metrics\":[]}".to_vec()),
        ("a NUL", b"{\"metrics\":[]}\0".to_vec()),
        ("a raw newline in a string", b"{\"met\nrics\":[]}".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{\"metrics\":[]}".to_vec()),
        ("UTF-16", utf16),
        ("invalid UTF-8 in a key", b"{\"met\xffrics\":[]}".to_vec()),
        ("invalid UTF-8 in a value", b"{\"metrics\":[{\"name\":\"\xc3\x28\",\"timestamp\":1,\"value\":1}]}".to_vec()),
        ("an overlong encoding", b"{\"metrics\":[{\"name\":\"\xc0\xaf\",\"timestamp\":1,\"value\":1}]}".to_vec()),
        ("half a character at the end", b"{\"metrics\":[]}\xe2\x82".to_vec()),
        ("NaN", with_value("NaN")),
        ("Infinity", with_value("Infinity")),
        ("-Infinity", with_value("-Infinity")),
        ("a plus", with_value("+1")),
        ("hexadecimal", with_value("0x10")),
        ("a leading zero", with_value("01")),
        ("no digit behind the point", with_value("1.")),
        ("no digit before the point", with_value(".5")),
        ("a bare exponent", with_value("1e")),
        ("100,000 arrays in each other", [br#"{"metrics":[{"name":"#.as_slice(), &b"[".repeat(100_000)].concat()),
        ("100,000 objects in each other", [br#"{"metrics":["#.as_slice(), &br#"{"a":"#.repeat(100_000)].concat()),
        ("100,000 arrays, closed", [b"[".repeat(100_000), b"]".repeat(100_000)].concat()),
    ];
    let cases: Vec<_> = cases.into_iter().map(|(case, body)| (case, body, 400, "malformed_json")).collect();
    assert_refused(&server, &[JSON], &cases);
}

#[test]
fn json_of_another_shape_is_refused_as_a_whole() {
    let server = Server::start();
    let cases = [
        ("null", "null", "invalid_request"),
        ("a number", "1", "invalid_request"),
        ("a string", "\"metrics\"", "invalid_request"),
        ("an array", "[]", "invalid_request"),
        ("an object without metrics", "{}", "invalid_request"),
        ("metrics of another type", r#"{"metrics":{}}"#, "invalid_request"),
        ("no metrics", r#"{"metrics":null}"#, "invalid_request"),
        ("an unknown field", r#"{"metrics":[],"tenant":"other"}"#, "invalid_request"),
        ("an unknown field before it", r#"{"tenant":"other","metrics":[]}"#, "invalid_request"),
        ("metrics twice", r#"{"metrics":[],"metrics":[]}"#, "invalid_request"),
        ("metrics spelt otherwise", r#"{"Metrics":[]}"#, "invalid_request"),
        ("no sample", r#"{"metrics":[]}"#, "no_samples"),
        ("samples that are none", r#"{"metrics":[1,null,"x",[],true]}"#, "no_valid_samples"),
    ];
    let cases: Vec<_> =
        cases.into_iter().map(|(case, body, code)| (case, body.as_bytes().to_vec(), 400, code)).collect();
    assert_refused(&server, &[JSON], &cases);
}

/// A sample, the code of its reject, and what is wrong with it.
const REJECTED_SAMPLES: &[(&str, &str, &str)] = &[
    ("an array", "[]", "invalid_sample"),
    ("no name", r#"{"timestamp":1,"value":1}"#, "missing_name"),
    ("a name of another type", r#"{"name":7,"timestamp":1,"value":1}"#, "invalid_name"),
    ("an empty name", r#"{"name":"","timestamp":1,"value":1}"#, "invalid_name"),
    ("a NUL in the name", r#"{"name":"a\u0000","timestamp":1,"value":1}"#, "invalid_name"),
    ("half a surrogate pair", r#"{"name":"\ud800","timestamp":1,"value":1}"#, "invalid_name"),
    ("no timestamp", r#"{"name":"m","value":1}"#, "missing_timestamp"),
    ("a timestamp in quotes", r#"{"name":"m","timestamp":"1","value":1}"#, "invalid_timestamp"),
    ("a timestamp with a point", r#"{"name":"m","timestamp":1.0,"value":1}"#, "invalid_timestamp"),
    ("a timestamp with an exponent", r#"{"name":"m","timestamp":1e3,"value":1}"#, "invalid_timestamp"),
    ("a timestamp beyond 64 bits", r#"{"name":"m","timestamp":99999999999999999999,"value":1}"#, "invalid_timestamp"),
    ("a timestamp of the stone age", r#"{"name":"m","timestamp":-9223372036854775808,"value":1}"#, "invalid_timestamp"),
    ("a timestamp in microseconds", r#"{"name":"m","timestamp":1735603200000000,"value":1}"#, "invalid_timestamp"),
    ("a timestamp in the year 2200", r#"{"name":"m","timestamp":7258118400000,"value":1}"#, "timestamp_too_new"),
    ("no value", r#"{"name":"m","timestamp":1}"#, "missing_value"),
    ("a value of null", r#"{"name":"m","timestamp":1,"value":null}"#, "invalid_value"),
    ("a value in quotes", r#"{"name":"m","timestamp":1,"value":"NaN"}"#, "invalid_value"),
    ("a value beyond a double", r#"{"name":"m","timestamp":1,"value":1e400}"#, "value_not_finite"),
    ("a value below it", r#"{"name":"m","timestamp":1,"value":-1e400}"#, "value_not_finite"),
    ("a field that there is not", r#"{"name":"m","timestamp":1,"value":1,"tags":{}}"#, "unknown_field"),
    ("a tenant", r#"{"name":"m","timestamp":1,"value":1,"tenant":"other"}"#, "unknown_field"),
    ("a field twice", r#"{"name":"m","timestamp":1,"value":1,"value":2}"#, "duplicate_key"),
    ("dimensions of another type", r#"{"name":"m","timestamp":1,"value":1,"dimensions":["a"]}"#, "invalid_dimensions"),
    (
        "a dimension of another type",
        r#"{"name":"m","timestamp":1,"value":1,"dimensions":{"a":1}}"#,
        "invalid_dimensions",
    ),
    ("a dimension of null", r#"{"name":"m","timestamp":1,"value":1,"dimensions":{"a":null}}"#, "invalid_dimensions"),
    ("a dimension twice", r#"{"name":"m","timestamp":1,"value":1,"dimensions":{"a":"1","a":"1"}}"#, "duplicate_key"),
    (
        "a dimension twice, once in escapes",
        r#"{"name":"m","timestamp":1,"value":1,"dimensions":{"a":"1","\u0061":"2"}}"#,
        "duplicate_key",
    ),
    (
        "a dimension without a key",
        r#"{"name":"m","timestamp":1,"value":1,"dimensions":{"":"1"}}"#,
        "invalid_dimension_key",
    ),
    ("a newline in a key", r#"{"name":"m","timestamp":1,"value":1,"dimensions":{"a\n":"1"}}"#, "invalid_dimension_key"),
];

#[test]
fn each_fault_of_a_sample_is_named_and_the_others_are_stored() {
    let server = Server::start();
    let long = |template: &str, size: usize| template.replace('@', &"x".repeat(size));
    let many: String = (0..65).map(|key| format!(r#""k{key}":"v","#)).collect();
    let too_much = [
        (long(r#"{"name":"@","timestamp":1,"value":1}"#, 257), "name_too_long"),
        (long(r#"{"name":"m","timestamp":1,"value":1,"dimensions":{"@":"1"}}"#, 257), "dimension_key_too_long"),
        (long(r#"{"name":"m","timestamp":1,"value":1,"dimensions":{"a":"@"}}"#, 2049), "dimension_value_too_long"),
        (
            format!(r#"{{"name":"m","timestamp":1,"value":1,"dimensions":{{{}}}}}"#, many.trim_end_matches(',')),
            "too_many_dimensions",
        ),
        (format!(r#"{{"name":"m","timestamp":1,"value":{}}}"#, "1".repeat(1_000_000)), "value_not_finite"),
        (format!(r#"{{"name":"m","timestamp":{},"value":1}}"#, "1".repeat(1_000_000)), "invalid_timestamp"),
    ];
    let listed = REJECTED_SAMPLES.iter().map(|(_, text, code)| ((*text).to_owned(), *code));
    let samples: Vec<(String, &str)> = listed.chain(too_much).collect();
    let good = r#"{"name":"kept","timestamp":1,"value":1}"#;
    let texts: Vec<&str> = samples.iter().flat_map(|(text, _)| [text.as_str(), good]).collect();
    let body = format!(r#"{{"metrics":[{}]}}"#, texts.join(","));

    let client = server.client("partly");
    let answer = client.send("POST", WRITE, &[JSON], body.as_bytes()).unwrap();
    let json = answer.json();
    assert_eq!(answer.status, 202, "{json}");
    assert_eq!(json["accepted"], samples.len(), "{json}");
    assert_eq!(json["rejected"], samples.len(), "{json}");
    let codes: Vec<&str> =
        json["errors"].as_array().unwrap().iter().map(|item| item["code"].as_str().unwrap()).collect();
    let wanted: Vec<&str> = samples.iter().map(|(_, code)| *code).collect();
    assert_eq!(codes, wanted);
    for (at, item) in json["errors"].as_array().unwrap().iter().enumerate() {
        assert_eq!(item["index"], 2 * at, "{item}");
        let detail = item["detail"].as_str().unwrap();
        assert!(detail.len() < 400, "a detail repeats what the client sent at length: {} bytes", detail.len());
    }
    answer.assert_nothing_internal("rejects");
    let receipt = json["receipt"].as_str().unwrap();
    assert_eq!(client.count(Some(receipt), "kept"), samples.len() as u64);
    assert_eq!(client.count(Some(receipt), "m"), 0, "a rejected sample is there");
}

#[test]
fn more_than_a_hundred_faults_are_counted_and_not_listed() {
    let server = Server::start();
    let samples: Vec<Value> = (0..150).map(|_| json!({"name": "m", "timestamp": 1})).collect();
    let answer = server.client("acme").write(&json!({ "metrics": samples })).unwrap();
    answer.assert_problem("150 faults", 400, "no_valid_samples");
    let json = answer.json();
    assert_eq!((&json["rejected"], &json["errorsTruncated"]), (&json!(150), &json!(true)));
    assert_eq!(json["errors"].as_array().unwrap().len(), 100);
}

#[test]
fn a_line_of_ndjson_that_is_none_harms_its_neighbours_not() {
    let server = Server::start();
    let deep = "[".repeat(100_000);
    let good = r#"{"name":"lines","timestamp":1,"value":1}"#;
    let body = format!("{good}\n\n{{\"name\":\nnonsense\n{deep}\n{good}\r\n   \n{good}");
    let client = server.client("acme");
    let answer = client.send("POST", WRITE, &[("Content-Type", "application/x-ndjson")], body.as_bytes()).unwrap();
    let json = answer.json();
    assert_eq!((answer.status, &json["accepted"], &json["rejected"]), (202, &json!(3), &json!(3)), "{json}");
    let indexes: Vec<u64> =
        json["errors"].as_array().unwrap().iter().map(|item| item["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [1, 2, 3]);
    assert_eq!(client.count(json["receipt"].as_str(), "lines"), 3);
}

#[test]
fn compressed_bodies_are_bounded_and_checked() {
    let server = small_server();
    let body = good_body().to_string().into_bytes();
    let whole = gzip(&body);
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    let bomb = gzip(&vec![b' '; 60 << 20]);
    assert!(bomb.len() < 64 << 10, "the bomb must fit the limit of the compressed body, or another limit is tested");
    let cases = [
        ("a gzip cut off", whole[..whole.len() - 9].to_vec(), 400, "content_encoding_invalid"),
        ("a gzip without its checksum", whole[..whole.len() - 4].to_vec(), 400, "content_encoding_invalid"),
        ("a gzip's first bytes", whole[..5].to_vec(), 400, "content_encoding_invalid"),
        ("a damaged gzip", damaged, 400, "content_encoding_invalid"),
        ("no gzip at all", body.clone(), 400, "content_encoding_invalid"),
        ("an empty gzip", gzip(b""), 400, "malformed_json"),
        ("a gzip in a gzip", gzip(&whole), 400, "malformed_json"),
        ("a gzip bomb", bomb.clone(), 413, "decompressed_body_too_large"),
        (
            "two bombs behind each other",
            [gzip(&[b' '; 200 << 10]), gzip(&[b' '; 200 << 10])].concat(),
            413,
            "decompressed_body_too_large",
        ),
    ];
    assert_refused(&server, &[JSON, ("Content-Encoding", "gzip")], &cases);

    let cases = [
        ("no zstd", body, 400, "content_encoding_invalid"),
        ("a zstd cut off", zstd_of_one_byte(b' ', 1, 17)[..8].to_vec(), 400, "content_encoding_invalid"),
        ("white space in zstd", zstd_of_one_byte(b' ', 1, 17), 400, "malformed_json"),
        ("a zstd bomb", zstd_of_one_byte(b' ', 8192, 20), 413, "decompressed_body_too_large"),
        ("a window of 2 GiB", zstd_of_one_byte(b' ', 1, 31), 400, "content_encoding_invalid"),
        ("a gzip called zstd", bomb, 400, "content_encoding_invalid"),
    ];
    assert_refused(&server, &[JSON, ("Content-Encoding", "zstd")], &cases);
}

#[test]
fn other_types_and_encodings_are_refused_before_the_body_is_read() {
    let server = Server::start();
    let client = server.client("acme");
    let body = gzip(good_body().to_string().as_bytes());
    for encoding in ["br", "deflate", "snappy", "compress", "gzip, gzip", "gzip,zstd", "zstd, identity", "", "gzip;q=1"]
    {
        let answer = client.send("POST", WRITE, &[JSON, ("Content-Encoding", encoding)], &body).unwrap();
        answer.assert_problem(encoding, 415, "content_encoding_unsupported");
        assert_eq!(answer.headers.get("accept-encoding").map(String::as_str), Some("gzip, zstd"), "{encoding:?}");
    }
    let twice = [JSON, ("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")];
    client.send("POST", WRITE, &twice, &body).unwrap().assert_problem(
        "two headers",
        415,
        "content_encoding_unsupported",
    );
    for content_type in [
        "",
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/json-seq",
        "application/xml",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=iso-8859-1",
        "application/x-protobuf",
        "*/*",
    ] {
        let answer = client.send("POST", WRITE, &[("Content-Type", content_type)], b"{}").unwrap();
        answer.assert_problem(content_type, 415, "content_type_unsupported");
    }
    client.send("POST", WRITE, &[], b"{}").unwrap().assert_problem("none", 415, "content_type_unsupported");
    for key in ["", "with space", &"k".repeat(256)] {
        let answer = client.send("POST", WRITE, &[JSON, ("Idempotency-Key", key)], b"{}").unwrap();
        answer.assert_problem("a key", 400, "idempotency_key_invalid");
    }
    assert_well(&server, "types and encodings");
}

/// The head of a write request with a good token.
fn head(server: &Server, more: &str) -> String {
    let token = luminate_tests::server::token("hostile", "read,write");
    let host = server.url().trim_start_matches("http://");
    format!(
        "POST {WRITE} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n{more}\r\n\r\n"
    )
}

#[test]
fn a_body_beyond_the_limit_is_refused_with_and_without_its_length() {
    let server = small_server();
    let mut connection = RawConnection::open(server.url());
    // Only announced: nothing of it is sent, so nothing of it can have been read.
    assert!(connection.send(head(&server, "Content-Length: 999999999999").as_bytes()));
    connection.outcome().answer().assert_problem("announced", 413, "body_too_large");
    assert_well(&server, "an announced body");

    let mut connection = RawConnection::open(server.url());
    assert!(connection.send(head(&server, "Transfer-Encoding: chunked").as_bytes()));
    let chunk = [b"2000\r\n".as_slice(), &[b' '; 0x2000], b"\r\n"].concat();
    for _ in 0..64 {
        // It may have closed the connection long before the last chunk, and should.
        if !connection.send(&chunk) {
            break;
        }
    }
    connection.outcome().answer().assert_problem("chunked", 413, "body_too_large");
    assert_well(&server, "a chunked body");

    let samples: Vec<Value> = (0..101).map(|_| json!({"name": "m", "timestamp": 1, "value": 1})).collect();
    let answer = server.client("hostile").write(&json!({ "metrics": samples })).unwrap();
    answer.assert_problem("101 samples", 413, "too_many_samples");
    assert_eq!(answer.json()["limit"], 100);
    assert_eq!(server.client("hostile").count(None, "m"), 0, "a request is refused whole");
}
