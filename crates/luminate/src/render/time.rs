//! Times as people read and write them.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

/// A time in ms since 1970 as RFC 3339, with milliseconds where it has some.
pub(crate) fn show(timestamp: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(timestamp) * 1_000_000);
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| timestamp.to_string())
}

/// The time of day, or the day where `span` ms cover several, for the ends of an axis.
pub(crate) fn show_short(timestamp: i64, span: i64) -> String {
    const TWO_DAYS: i64 = 2 * 86_400_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(timestamp) * 1_000_000);
    let format = if span < TWO_DAYS {
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second]")
    } else {
        format_description!("[year]-[month]-[day] [hour]:[minute]")
    };
    time.ok().and_then(|time| time.format(format).ok()).unwrap_or_else(|| timestamp.to_string())
}

/// Reads a time: RFC 3339, a date (its first moment in UTC), or ms since 1970.
pub(crate) fn parse_instant(text: &str) -> Result<i64, String> {
    if let Ok(timestamp) = text.parse() {
        return Ok(timestamp);
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| {
        let date = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
        Some(date.midnight().assume_offset(UtcOffset::UTC))
    });
    let time = time.ok_or("a time is RFC 3339 (2025-01-31T08:00:00Z), a date (2025-01-31), or ms since 1970")?;
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).map_err(|_| "the time is out of range".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_three_forms() {
        let expected = 1_735_603_200_000;
        assert_eq!(parse_instant("1735603200000").unwrap(), expected);
        assert_eq!(parse_instant("2024-12-31T00:00:00Z").unwrap(), expected);
        assert_eq!(parse_instant("2024-12-31T01:30:00+01:30").unwrap(), expected);
        assert_eq!(parse_instant("2024-12-31").unwrap(), expected);
        assert_eq!(parse_instant("1969-12-31T23:59:59.999Z").unwrap(), -1);
        assert!(parse_instant("yesterday").is_err());
    }

    #[test]
    fn times_are_shown_as_rfc_3339() {
        assert_eq!(show(1_735_603_200_000), "2024-12-31T00:00:00Z");
        assert_eq!(show(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(show(i64::MAX), i64::MAX.to_string());
    }
}
