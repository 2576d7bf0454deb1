//! `application/x-ndjson`: one metric a line.

use std::str::Utf8Error;

use luminate_model::{Reject, RejectCode};

use super::metric::read_metric;
use super::scanner::{Scanner, SyntaxError};
use super::{DecodedSample, Decoder, RequestFault, SampleSink};

/// Decodes one metric a line. Blank lines mean nothing: a metric's index is its position among the others. A line that is
/// not JSON is a reject like any other, and the lines behind it count.
#[derive(Debug, Clone, Copy)]
pub struct NdjsonDecoder;

impl Decoder for NdjsonDecoder {
    fn decode<'b>(&self, body: &'b [u8], sink: &mut dyn SampleSink<'b>) -> Result<(), RequestFault> {
        let mut sample = DecodedSample::default();
        let mut at = 0;
        let mut take = |line: &'b [u8], text: Result<&'b str, Utf8Error>| {
            if !line.trim_ascii_start().is_empty() {
                let read = text.map_err(not_text).and_then(|text| read_line(text, &mut sample));
                sink.take(at, read.map(|()| &mut sample))?;
            }
            at += line.len() + 1;
            Ok(())
        };
        match str::from_utf8(body) {
            Ok(text) => text.split('\n').try_for_each(|line| take(line.as_bytes(), Ok(line))),
            // Some line is not text. The others are, so each is looked at by itself.
            Err(_) => body.split(|byte| *byte == b'\n').try_for_each(|line| take(line, str::from_utf8(line))),
        }
    }
}

fn read_line<'b>(line: &'b str, sample: &mut DecodedSample<'b>) -> Result<(), Reject> {
    let mut scanner = Scanner::new(line);
    let metric = read_metric(&mut scanner, sample).map_err(not_json)?;
    scanner.expect_end().map_err(not_json)?;
    metric
}

fn not_text(error: Utf8Error) -> Reject {
    not_json(SyntaxError { fault: "invalid UTF-8", at: error.valid_up_to() })
}

fn not_json(error: SyntaxError) -> Reject {
    let detail = format!("the line is not JSON: {} at byte {} of the line", error.fault, error.at);
    Reject::new(RejectCode::InvalidSample, detail)
}
