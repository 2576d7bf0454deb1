//! `application/json`: `{"metrics": [...]}`.

use luminate_model::validation::excerpt;

use super::metric::read_metric;
use super::scanner::{Scanner, SyntaxError};
use super::{DecodedSample, Decoder, RequestFault, SampleSink};

/// Decodes `{"metrics": [...]}`. A metric's index is its position in the array.
#[derive(Debug, Clone, Copy)]
pub struct JsonDecoder;

/// What ends the reading of a document.
enum Stop {
    Syntax(SyntaxError),
    Fault(RequestFault),
}

impl From<SyntaxError> for Stop {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

impl From<RequestFault> for Stop {
    fn from(fault: RequestFault) -> Self {
        Self::Fault(fault)
    }
}

impl Decoder for JsonDecoder {
    fn decode<'b>(&self, body: &'b [u8], sink: &mut dyn SampleSink<'b>) -> Result<(), RequestFault> {
        let text = std::str::from_utf8(body)
            .map_err(|error| RequestFault::malformed_json(body, "invalid UTF-8", error.valid_up_to()))?;
        read_document(&mut Scanner::new(text), sink).map_err(|stop| match stop {
            Stop::Syntax(SyntaxError { fault, at }) => RequestFault::malformed_json(body, fault, at),
            Stop::Fault(fault) => fault,
        })
    }
}

fn read_document<'b>(scanner: &mut Scanner<'b>, sink: &mut dyn SampleSink<'b>) -> Result<(), Stop> {
    let invalid = |detail: String| Stop::Fault(RequestFault::InvalidRequest(detail));
    if scanner.peek() != Some(b'{') {
        let kind = scanner.skip_value()?;
        return Err(invalid(format!("expected an object with \"metrics\", got {kind}")));
    }
    scanner.expect(b'{', "expected an object")?;
    let mut has_metrics = false;
    let mut goes_on = !scanner.take(b'}');
    while goes_on {
        let key = scanner.key()?.text().unwrap_or_default();
        if key != "metrics" {
            return Err(invalid(format!(
                "{:?} is no field of a write request; it has \"metrics\" alone",
                excerpt(&key)
            )));
        }
        if std::mem::replace(&mut has_metrics, true) {
            return Err(invalid("the field \"metrics\" is given twice".to_owned()));
        }
        if scanner.peek() != Some(b'[') {
            let kind = scanner.skip_value()?;
            return Err(invalid(format!("\"metrics\" must be an array, got {kind}")));
        }
        read_metrics(scanner, sink)?;
        goes_on = scanner.another_member()?;
    }
    scanner.expect_end()?;
    if has_metrics { Ok(()) } else { Err(invalid("the request has no \"metrics\"".to_owned())) }
}

fn read_metrics<'b>(scanner: &mut Scanner<'b>, sink: &mut dyn SampleSink<'b>) -> Result<(), Stop> {
    scanner.expect(b'[', "expected an array")?;
    let mut sample = DecodedSample::default();
    let mut goes_on = !scanner.take(b']');
    while goes_on {
        scanner.peek();
        let at = scanner.position();
        let read = read_metric(scanner, &mut sample)?;
        sink.take(at, read.map(|()| &mut sample))?;
        goes_on = scanner.another_item()?;
    }
    Ok(())
}
