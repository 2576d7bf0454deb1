//! The `timeRange` of a request, durations and instants.

use luminate_model::time::{END_TIMESTAMP, MIN_TIMESTAMP};
use luminate_model::validation::excerpt;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::fields::{inner_object, required};
use crate::error::QueryError;

/// The time asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedTime {
    /// The last so many ms before the query is planned.
    Relative(i64),
    /// From `start` (ms since 1970) to before `end`; `None` is the time at which the query is planned.
    Absolute {
        /// First millisecond inside.
        start: i64,
        /// First millisecond after.
        end: Option<i64>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeBody<'a> {
    #[serde(borrow)]
    relative: Option<&'a RawValue>,
    start: Option<&'a RawValue>,
    end: Option<&'a RawValue>,
}

const RANGE: &str =
    r#"an object with "relative" (as in "24h"), or with "start" and "end" (ms since 1970, or RFC 3339)"#;

pub(super) fn parse_range(raw: Option<&RawValue>) -> Result<RequestedTime, QueryError> {
    let body: RangeBody<'_> = inner_object("timeRange", required("timeRange", raw, RANGE)?, RANGE)?;
    match (body.relative, body.start, body.end) {
        (Some(relative), None, None) => {
            let Ok(Value::String(text)) = serde_json::from_str(relative.get()) else {
                return Err(invalid(format!("relative: expected a duration, found {}", excerpt(relative.get()))));
            };
            let duration = parse_duration(&text).map_err(|fault| invalid(format!("relative: {fault}")))?;
            Ok(RequestedTime::Relative(duration))
        }
        (None, Some(start), end) => {
            let start = parse_field("start", start)?;
            let end = end.map(|end| parse_field("end", end)).transpose()?;
            if end.is_some_and(|end| end <= start) {
                return Err(invalid("end must be after start".to_owned()));
            }
            Ok(RequestedTime::Absolute { start, end })
        }
        (None, None, _) => Err(invalid("relative or start is missing".to_owned())),
        (Some(_), _, _) => Err(invalid("relative stands alone, without start and end".to_owned())),
    }
}

fn parse_field(name: &str, raw: &RawValue) -> Result<i64, QueryError> {
    let expected = || {
        let found = excerpt(raw.get());
        invalid(format!("{name}: expected ms since 1970 as a whole number, or a time as in RFC 3339, found {found}"))
    };
    let instant = match serde_json::from_str(raw.get()) {
        Ok(Value::Number(number)) => number.as_i64().ok_or_else(expected)?,
        Ok(Value::String(text)) => parse_instant(&text).ok_or_else(expected)?,
        _ => return Err(expected()),
    };
    if (MIN_TIMESTAMP..=END_TIMESTAMP).contains(&instant) {
        return Ok(instant);
    }
    let range = "the years 1900 to 2299; is it in ms since 1970?";
    Err(invalid(format!("{name}: {} is outside {range}", excerpt(raw.get()))))
}

fn invalid(fault: String) -> QueryError {
    QueryError::TimeRangeInvalid(fault)
}

/// Reads a time in the form of RFC 3339 as ms since 1970; what is finer than a ms is cut off towards the past.
#[must_use]
pub fn parse_instant(text: &str) -> Option<i64> {
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(instant.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// Reads a duration, a whole number with a unit (`ms`, `s`, `m`, `h`, `d`, `w`), as ms; at least 1.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let fault = || {
        let found = excerpt(text);
        format!("expected a whole number, at least 1, with a unit (ms, s, m, h, d, w), as in \"24h\", found {found:?}")
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return Err(fault()),
    };
    let number: i64 = number.parse().map_err(|_| fault())?;
    let duration = number.checked_mul(unit).ok_or_else(fault)?;
    if duration == 0 { Err(fault()) } else { Ok(duration) }
}
