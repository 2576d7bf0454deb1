//! `application/x-ndjson`: one metric a line.

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
        for line in body.split(|byte| *byte == b'\n') {
            if !line.trim_ascii().is_empty() {
                let read = read_line(line, &mut sample);
                sink.take(at, read.map(|()| &mut sample))?;
            }
            at += line.len() + 1;
        }
        Ok(())
    }
}

fn read_line<'b>(line: &'b [u8], sample: &mut DecodedSample<'b>) -> Result<(), Reject> {
    let text = std::str::from_utf8(line)
        .map_err(|error| not_json(SyntaxError { fault: "invalid UTF-8", at: error.valid_up_to() }))?;
    let mut scanner = Scanner::new(text);
    let metric = read_metric(&mut scanner, sample).map_err(not_json)?;
    scanner.expect_end().map_err(not_json)?;
    metric
}

fn not_json(error: SyntaxError) -> Reject {
    let detail = format!("the line is not JSON: {} at byte {} of the line", error.fault, error.at);
    Reject::new(RejectCode::InvalidSample, detail)
}
