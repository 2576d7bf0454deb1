//! Writing samples and finding them again.

use crate::server::Server;

/// Lines of samples of the metric `m`, the last hour's, one a second.
pub(crate) fn samples(count: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let line = |at: u64| {
        let timestamp = now - (at + 1) * 1000;
        format!(r#"{{"name":"m","timestamp":{timestamp},"value":{at},"dimensions":{{"parity":"{}"}}}}"#, at % 2)
    };
    (0..count).map(|at| line(at) + "\n").collect()
}

#[test]
fn lines_are_written_and_waited_for() {
    let server = Server::start();
    let written = server.run(&["write", "--wait", "--batch", "30", "--json"], &samples(100)).done();
    let summary = written.json();
    assert_eq!((&summary["accepted"], &summary["rejected"], &summary["requests"]), (&100.into(), &0.into(), &4.into()));
    assert_eq!(written.messages, "", "with --json there is nothing to say beside the data");
    let counted = server.run(&["query", "-m", "m", "-a", "sum", "-g", "parity", "--json"], "").done().json();
    assert_eq!(counted["results"][0]["value"], 2450, "{counted}");
    assert_eq!(counted["results"][1]["value"], 2500, "{counted}");
    let table = server.run(&["query", "-m", "m", "-a", "count", "-f", "parity=1"], "").done();
    assert_eq!(table.data.lines().map(str::trim).collect::<Vec<_>>(), ["count", "───────", "50"], "{table:?}");
}

#[test]
fn the_body_of_a_write_request_is_taken_as_well() {
    let server = Server::start();
    let body = format!("{{\n \"metrics\": [{}]}}", samples(3).trim().replace('\n', ",\n  "));
    let written = server.run(&["write", "--wait", "--json"], &body).done().json();
    assert_eq!(written["accepted"], 3, "{written}");
    let names = server.run(&["metrics", "--json"], "").done().json();
    assert_eq!(names["metrics"][0]["name"], "m", "{names}");
    assert_eq!(names["metrics"][0]["samples"], 3, "{names}");
}

#[test]
fn rejected_samples_are_told_by_their_lines_and_the_others_stored() {
    let server = Server::start();
    let mut input = samples(2);
    input.push_str("\nnot json\n{\"name\":\"m\",\"value\":1}\n");
    let written = server.run(&["write", "--wait"], &input);
    assert_eq!((written.code, written.data.as_str()), (5, ""), "{written:?}");
    assert!(written.messages.contains("line 4") && written.messages.contains("invalid_sample"), "{written:?}");
    assert!(written.messages.contains("line 5") && written.messages.contains("missing_timestamp"), "{written:?}");
    let counted = server.run(&["query", "-m", "m", "-a", "count", "--json"], "").done().json();
    assert_eq!(counted["results"][0]["value"], 2, "{counted}");
}

#[test]
fn pages_of_raw_samples_make_the_whole() {
    let server = Server::start();
    server.run(&["write", "--wait"], &samples(25)).done();
    let mut values = Vec::new();
    let mut cursor: Option<String> = None;
    for page in 0..10 {
        assert!(page < 9, "the pages do not end");
        let mut words = vec![
            "query",
            "-m",
            "m",
            "--raw",
            "--limit",
            "10",
            "--start",
            "1970-01-01",
            "--end",
            "2200-01-01",
            "--json",
        ];
        words.extend(cursor.as_deref().map(|cursor| ["--cursor", cursor]).into_iter().flatten());
        let answer = server.run(&words, "").done().json();
        values.extend(answer["samples"].as_array().unwrap().iter().map(|sample| sample["value"].as_f64().unwrap()));
        cursor = answer["cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(values, (0..25).rev().map(f64::from).collect::<Vec<_>>());
}
