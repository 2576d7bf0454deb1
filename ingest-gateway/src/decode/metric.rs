//! One metric in JSON: `{"name": "...", "timestamp": 1735603200000, "value": 1.5, "dimensions": {"key": "value"}}`.

use std::borrow::Cow;
use std::fmt;

use luminate_model::validation::excerpt;
use luminate_model::{Reject, RejectCode};

use super::scanner::{JsonString, LoneSurrogate, Scanner, SyntaxError};
use super::{DecodedSample, MAX_DECODED_DIMENSIONS};

/// Reads one metric into `sample`, over its end in any case: what is wrong with it alone is a reject, the first fault of
/// several.
///
/// # Errors
/// [`SyntaxError`] where the text is not JSON, so that the metric's end cannot be told.
pub(super) fn read_metric<'b>(
    scanner: &mut Scanner<'b>,
    sample: &mut DecodedSample<'b>,
) -> Result<Result<(), Reject>, SyntaxError> {
    if scanner.peek() != Some(b'{') {
        let kind = scanner.skip_value()?;
        return Ok(Err(Reject::new(RejectCode::InvalidSample, format!("expected an object, got {kind}"))));
    }
    sample.dimensions.clear();
    let mut metric = MetricReader { scanner, sample, seen: Fields::default(), fault: None };
    metric.members()?;
    Ok(metric.finish())
}

/// Which fields were there.
#[derive(Default)]
struct Fields {
    name: bool,
    timestamp: bool,
    value: bool,
    dimensions: bool,
}

struct MetricReader<'s, 'b> {
    scanner: &'s mut Scanner<'b>,
    sample: &'s mut DecodedSample<'b>,
    seen: Fields,
    fault: Option<Reject>,
}

impl<'b> MetricReader<'_, 'b> {
    fn members(&mut self) -> Result<(), SyntaxError> {
        self.scanner.expect(b'{', "expected an object")?;
        if self.scanner.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.scanner.key()?;
            self.member(key)?;
            if !self.scanner.another_member()? {
                return Ok(());
            }
        }
    }

    fn member(&mut self, key: JsonString<'b>) -> Result<(), SyntaxError> {
        let Ok(key) = key.text() else {
            self.reject(RejectCode::UnknownField, format_args!("a field's name holds half of a surrogate pair"));
            return self.skip();
        };
        let seen = match key.as_ref() {
            "name" => &mut self.seen.name,
            "timestamp" => &mut self.seen.timestamp,
            "value" => &mut self.seen.value,
            "dimensions" => &mut self.seen.dimensions,
            _ => {
                self.reject(RejectCode::UnknownField, format_args!("{:?} is no field of a metric", excerpt(&key)));
                return self.skip();
            }
        };
        if std::mem::replace(seen, true) {
            self.reject(RejectCode::DuplicateKey, format_args!("the field {key:?} is given twice"));
            return self.skip();
        }
        match key.as_ref() {
            "name" => self.name(),
            "timestamp" => self.timestamp(),
            "value" => self.value(),
            _ => self.dimensions(),
        }
    }

    fn name(&mut self) -> Result<(), SyntaxError> {
        if self.scanner.peek() != Some(b'"') {
            return self.wrong_type(RejectCode::InvalidName, "name must be a string");
        }
        match self.scanner.string()?.text() {
            Ok(name) => self.sample.name = name,
            Err(LoneSurrogate) => {
                self.reject(RejectCode::InvalidName, format_args!("name holds half of a surrogate pair"))
            }
        }
        Ok(())
    }

    fn timestamp(&mut self) -> Result<(), SyntaxError> {
        if !self.is_number_next() {
            return self.wrong_type(RejectCode::InvalidTimestamp, "timestamp must be an integer of ms since 1970");
        }
        let number = self.scanner.number()?;
        match number.text.parse() {
            Ok(timestamp) if number.is_integer => self.sample.timestamp = timestamp,
            _ => {
                self.reject(
                    RejectCode::InvalidTimestamp,
                    format_args!("timestamp must be an integer of ms since 1970, got {}", excerpt(number.text)),
                );
            }
        }
        Ok(())
    }

    fn value(&mut self) -> Result<(), SyntaxError> {
        if !self.is_number_next() {
            return self.wrong_type(RejectCode::InvalidValue, "value must be a number");
        }
        let number = self.scanner.number()?;
        match number.text.parse::<f64>() {
            Ok(value) if value.is_finite() => self.sample.value = value,
            _ => {
                self.reject(
                    RejectCode::ValueNotFinite,
                    format_args!("value does not fit a 64-bit float, got {}", excerpt(number.text)),
                );
            }
        }
        Ok(())
    }

    fn dimensions(&mut self) -> Result<(), SyntaxError> {
        if self.scanner.peek() != Some(b'{') {
            return self.wrong_type(RejectCode::InvalidDimensions, "dimensions must be an object of strings");
        }
        self.scanner.expect(b'{', "expected an object")?;
        if self.scanner.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.scanner.key()?;
            self.dimension(key)?;
            if !self.scanner.another_member()? {
                return Ok(());
            }
        }
    }

    #[inline(always)]
    fn dimension(&mut self, key: JsonString<'b>) -> Result<(), SyntaxError> {
        if self.scanner.peek() != Some(b'"') {
            return self.dimension_of_wrong_type(key);
        }
        let value = self.scanner.string()?;
        match (key.plain(), value.plain()) {
            // Nearly always. Built in place, because moving it there costs more than all of the reading.
            (Some(key), Some(value)) if self.sample.dimensions.len() < MAX_DECODED_DIMENSIONS => {
                self.sample.dimensions.push((Cow::Borrowed(key), Cow::Borrowed(value)));
            }
            _ => self.unusual_dimension(key, value),
        }
        Ok(())
    }

    #[cold]
    fn dimension_of_wrong_type(&mut self, key: JsonString<'b>) -> Result<(), SyntaxError> {
        let kind = self.scanner.skip_value()?;
        match key.text() {
            Ok(key) => {
                self.reject(
                    RejectCode::InvalidDimensions,
                    format_args!("the value of dimension {:?} must be a string, got {kind}", excerpt(&key)),
                );
            }
            Err(LoneSurrogate) => self.reject_dimension_key(),
        }
        Ok(())
    }

    #[cold]
    fn unusual_dimension(&mut self, key: JsonString<'b>, value: JsonString<'b>) {
        if self.sample.dimensions.len() >= MAX_DECODED_DIMENSIONS {
            return self.reject(
                RejectCode::TooManyDimensions,
                format_args!("more than {MAX_DECODED_DIMENSIONS} keys of dimensions, empty values included"),
            );
        }
        match (key.text(), value.text()) {
            (Ok(key), Ok(value)) => self.sample.dimensions.push((key, value)),
            (Ok(key), Err(LoneSurrogate)) => {
                self.reject(
                    RejectCode::InvalidDimensions,
                    format_args!("the value of dimension {:?} holds half of a surrogate pair", excerpt(&key)),
                );
            }
            (Err(LoneSurrogate), _) => self.reject_dimension_key(),
        }
    }

    fn reject_dimension_key(&mut self) {
        self.reject(
            RejectCode::InvalidDimensionKey,
            format_args!("a key of dimensions holds half of a surrogate pair"),
        );
    }

    fn is_number_next(&mut self) -> bool {
        matches!(self.scanner.peek(), Some(b'-' | b'0'..=b'9'))
    }

    fn skip(&mut self) -> Result<(), SyntaxError> {
        self.scanner.skip_value().map(drop)
    }

    /// Reads over a value of the wrong type.
    fn wrong_type(&mut self, code: RejectCode, expected: &str) -> Result<(), SyntaxError> {
        let kind = self.scanner.skip_value()?;
        self.reject(code, format_args!("{expected}, got {kind}"));
        Ok(())
    }

    /// Remembers the first fault; the sentence about it is made for that one alone.
    #[cold]
    fn reject(&mut self, code: RejectCode, detail: fmt::Arguments<'_>) {
        if self.fault.is_none() {
            self.fault = Some(Reject::new(code, detail.to_string()));
        }
    }

    fn finish(self) -> Result<(), Reject> {
        let missing = |code, field| Err(Reject::new(code, format!("the metric has no {field}")));
        match (self.fault, self.seen) {
            (Some(fault), _) => Err(fault),
            (None, Fields { name: false, .. }) => missing(RejectCode::MissingName, "name"),
            (None, Fields { timestamp: false, .. }) => missing(RejectCode::MissingTimestamp, "timestamp"),
            (None, Fields { value: false, .. }) => missing(RejectCode::MissingValue, "value"),
            (None, _) => Ok(()),
        }
    }
}
