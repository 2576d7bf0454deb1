//! Web servers' access logs in the combined format, as samples.
//!
//! ```text
//! client ident user [day/month/year:hour:minute:second zone] "method path protocol" status bytes "referrer" "agent"
//! ```

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// The metric that a line becomes a sample of.
pub(crate) const METRIC: &str = "http_response_bytes";

const TIME: &[BorrowedFormatItem<'_>] = format_description!(
    "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
);

/// A request of the log as a sample: the bytes of the response, by client, method, path, status and agent. The path is
/// without its query, and a part that the log does not tell (`-`) is a missing dimension.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct RequestSample<'a> {
    name: &'static str,
    timestamp: i64,
    value: u64,
    dimensions: RequestDimensions<'a>,
}

#[derive(Debug, PartialEq, Serialize)]
struct RequestDimensions<'a> {
    client: &'a str,
    method: &'a str,
    path: &'a str,
    status: &'a str,
    agent: &'a str,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MalformedLine {
    /// It ends too early.
    #[error("it ends before the {0}")]
    Missing(&'static str),
    /// A part is not what it should be.
    #[error("the {0} cannot be read")]
    Unreadable(&'static str),
}

/// Reads a line of the log.
///
/// # Errors
/// [`MalformedLine`] with the first part that is missing or cannot be read.
pub(crate) fn parse(line: &str) -> Result<RequestSample<'_>, MalformedLine> {
    let mut rest = Rest(line);
    let client = rest.word("client")?;
    rest.word("ident")?;
    rest.word("user")?;
    let time = rest.enclosed('[', ']', "time")?;
    let request = rest.enclosed('"', '"', "request")?;
    let status = rest.word("status")?;
    let bytes = rest.word("size of the response")?;
    rest.enclosed('"', '"', "referrer")?;
    let agent = rest.enclosed('"', '"', "agent")?;

    let (method, target) = method_and_target(request);
    let path = target.split(['?', '#']).next().unwrap_or(target);
    let time = OffsetDateTime::parse(time, &TIME).map_err(|_| MalformedLine::Unreadable("time"))?;
    if status.len() != 3 || !status.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(MalformedLine::Unreadable("status"));
    }
    // A response without a body has no size.
    let value = if bytes == "-" { Ok(0) } else { bytes.parse() };
    Ok(RequestSample {
        name: METRIC,
        timestamp: time.unix_timestamp() * 1000,
        value: value.map_err(|_| MalformedLine::Unreadable("size of the response"))?,
        dimensions: RequestDimensions {
            client: told(client),
            method: told(method),
            path: told(path),
            status,
            agent: told(agent),
        },
    })
}

/// `-` stands for what is not known; an empty value is a missing dimension.
fn told(text: &str) -> &str {
    if text == "-" { "" } else { text }
}

/// `GET /path HTTP/1.1`; a client may have sent anything, and then all of it is the target.
fn method_and_target(request: &str) -> (&str, &str) {
    match request.split_once(' ') {
        Some((method, rest)) => (method, rest.rsplit_once(" HTTP/").map_or(rest, |(target, _)| target)),
        None => ("", request),
    }
}

/// What is left of a line.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Everything up to the next space.
    fn word(&mut self, what: &'static str) -> Result<&'a str, MalformedLine> {
        let text = self.0.trim_start_matches(' ');
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        self.0 = rest;
        if word.is_empty() { Err(MalformedLine::Missing(what)) } else { Ok(word) }
    }

    /// Everything between two characters; a backslash takes the next character with it.
    fn enclosed(&mut self, open: char, close: char, what: &'static str) -> Result<&'a str, MalformedLine> {
        let text = self.0.trim_start_matches(' ').strip_prefix(open).ok_or(MalformedLine::Missing(what))?;
        let mut escaped = false;
        for (at, character) in text.char_indices() {
            if character == close && !escaped {
                let (inside, rest) = text.split_at(at);
                self.0 = rest.strip_prefix(close).unwrap_or(rest);
                return Ok(inside);
            }
            escaped = character == '\\' && !escaped;
        }
        Err(MalformedLine::Missing(what))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = r#"83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /images/a.png?x=1 HTTP/1.1" 200 203023 "http://example.org/" "Mozilla/5.0 (X11)""#;

    #[test]
    fn a_request_becomes_a_sample() {
        let json = serde_json::to_string(&parse(LINE).unwrap()).unwrap();
        assert_eq!(
            json,
            r#"{"name":"http_response_bytes","timestamp":1431857103000,"value":203023,"dimensions":{"client":"83.149.9.216","method":"GET","path":"/images/a.png","status":"200","agent":"Mozilla/5.0 (X11)"}}"#
        );
    }

    #[test]
    fn what_the_log_does_not_tell_is_missing_and_zones_count() {
        let sample = parse(r#"::1 - bob [17/May/2015:10:05:03 -0130] "-" 408 - "-" "-""#).unwrap();
        assert_eq!((sample.timestamp, sample.value), (1_431_857_103_000 + 90 * 60 * 1000, 0));
        let RequestDimensions { method, path, agent, .. } = sample.dimensions;
        assert_eq!((method, path, agent), ("", "", ""));
    }

    #[test]
    fn quotes_inside_are_escaped_and_targets_may_hold_spaces() {
        let line = r#"h - - [17/May/2015:10:05:03 +0000] "GET /a b\" c HTTP/1.0" 200 1 "\\" "x \"y\" z""#;
        let sample = parse(line).unwrap();
        assert_eq!((sample.dimensions.path, sample.dimensions.agent), (r#"/a b\" c"#, r#"x \"y\" z"#));
    }

    #[test]
    fn faults_are_named() {
        let fault = |line: &str| parse(line).unwrap_err();
        assert_eq!(fault(""), MalformedLine::Missing("client"));
        assert_eq!(fault(&LINE[..LINE.len() - 1]), MalformedLine::Missing("agent"));
        assert_eq!(fault(&LINE.replace("17/May", "37/May")), MalformedLine::Unreadable("time"));
        assert_eq!(fault(&LINE.replace(" 200 ", " 20x ")), MalformedLine::Unreadable("status"));
        assert_eq!(fault(&LINE.replace("203023", "-1")), MalformedLine::Unreadable("size of the response"));
    }

    proptest! {
        #[test]
        fn no_line_panics(line in ".*", cut in 0..LINE.len()) {
            let _ = parse(&line);
            prop_assert!(parse(&LINE[..cut]).is_err());
        }
    }
}
