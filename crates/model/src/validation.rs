//! What makes a sample valid. Decided once, by the gateway with its clock and configuration; the writer only judges what
//! did not come through a gateway, by [`SampleLimits::DIRECT`].

use crate::reject::{Reject, RejectCode};
use crate::time::{END_TIMESTAMP, MIN_TIMESTAMP, retention_floor};

/// The limits that a sample is held against. Sizes are in bytes of UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleLimits {
    /// Longest metric name.
    pub name_bytes: usize,
    /// Longest key of a dimension.
    pub dimension_key_bytes: usize,
    /// Longest value of a dimension.
    pub dimension_value_bytes: usize,
    /// Most dimensions of a sample, missing (empty) ones not counted.
    pub dimensions: usize,
    /// Oldest age in ms; `None` takes everything.
    pub oldest_age_ms: Option<i64>,
    /// Furthest future in ms; `None` takes everything.
    pub future_ms: Option<i64>,
}

impl SampleLimits {
    /// The fixed limits of the record format. No configuration exceeds them, so that whatever a gateway took, a writer
    /// takes, on whatever day it reads the record again.
    pub const RECORD: Self = Self {
        name_bytes: 1024,
        dimension_key_bytes: 1024,
        dimension_value_bytes: 65_536,
        dimensions: 256,
        oldest_age_ms: None,
        future_ms: None,
    };

    /// What a direct producer's sample is held against, at the time at which the queue appended its record: these limits are
    /// fixed, so that a record that is read again is judged the same.
    pub const DIRECT: Self = Self { future_ms: Some(60 * 60 * 1000), ..Self::RECORD };

    /// Judges a sample and brings its dimensions into canonical form: sorted by key, those with an empty value removed.
    ///
    /// `now` is in ms since 1970; `retention_days` is what the tenant has set for this metric, 0 for ever.
    ///
    /// # Errors
    /// The first fault found, as a [`Reject`].
    pub fn check<K: AsRef<str>, V: AsRef<str>>(
        &self,
        name: &str,
        timestamp: i64,
        value: f64,
        dimensions: &mut Vec<(K, V)>,
        now: i64,
        retention_days: u16,
    ) -> Result<(), Reject> {
        self.check_name(name)?;
        self.check_timestamp(timestamp, now, retention_days)?;
        if !value.is_finite() {
            return Err(Reject::new(RejectCode::ValueNotFinite, "value must be a finite number"));
        }
        self.check_dimensions(dimensions)
    }

    fn check_name(&self, name: &str) -> Result<(), Reject> {
        if name.is_empty() {
            return Err(Reject::new(RejectCode::InvalidName, "name is empty"));
        }
        if name.len() > self.name_bytes {
            let detail = format!("name has {} bytes, the limit is {}", name.len(), self.name_bytes);
            return Err(Reject::new(RejectCode::NameTooLong, detail));
        }
        if has_control_characters(name) {
            return Err(Reject::new(RejectCode::InvalidName, "name holds a control character"));
        }
        Ok(())
    }

    fn check_timestamp(&self, timestamp: i64, now: i64, retention_days: u16) -> Result<(), Reject> {
        if !(MIN_TIMESTAMP..END_TIMESTAMP).contains(&timestamp) {
            let detail = format!(
                "timestamp {timestamp} is outside [{MIN_TIMESTAMP}, {END_TIMESTAMP}), ms since 1970 of the years 1900 to 2299"
            );
            return Err(Reject::new(RejectCode::InvalidTimestamp, detail));
        }
        if let Some(future) = self.future_ms
            && timestamp > now.saturating_add(future)
        {
            let detail = format!("timestamp is {} ms in the future, the limit is {future} ms", timestamp - now);
            return Err(Reject::new(RejectCode::TimestampTooNew, detail));
        }
        if let Some(oldest) = self.oldest_age_ms
            && timestamp < now.saturating_sub(oldest)
        {
            let detail = format!("timestamp is {} ms old, the limit is {oldest} ms", now - timestamp);
            return Err(Reject::new(RejectCode::TimestampTooOld, detail));
        }
        if timestamp < retention_floor(now, retention_days) {
            let detail = format!(
                "timestamp is {} ms old, the retention of this metric is {retention_days} days",
                now - timestamp
            );
            return Err(Reject::new(RejectCode::RetentionExceeded, detail));
        }
        Ok(())
    }

    fn check_dimensions<K: AsRef<str>, V: AsRef<str>>(&self, dimensions: &mut Vec<(K, V)>) -> Result<(), Reject> {
        if !dimensions.is_sorted_by(|(a, _), (b, _)| a.as_ref() < b.as_ref()) {
            dimensions.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
            let twice = dimensions.windows(2).find(|pair| matches!(pair, [(a, _), (b, _)] if a.as_ref() == b.as_ref()));
            if let Some([(key, _), _]) = twice {
                let detail = format!("dimensions name the key {:?} twice", excerpt(key.as_ref()));
                return Err(Reject::new(RejectCode::DuplicateKey, detail));
            }
        }
        dimensions.retain(|(_, value)| !value.as_ref().is_empty());
        if dimensions.len() > self.dimensions {
            let detail = format!("{} dimensions, the limit is {}", dimensions.len(), self.dimensions);
            return Err(Reject::new(RejectCode::TooManyDimensions, detail));
        }
        for (key, value) in dimensions.iter() {
            let (key, value) = (key.as_ref(), value.as_ref());
            if key.is_empty() || has_control_characters(key) {
                let fault = if key.is_empty() { "is empty" } else { "holds a control character" };
                return Err(Reject::new(RejectCode::InvalidDimensionKey, format!("a key of dimensions {fault}")));
            }
            if key.len() > self.dimension_key_bytes {
                let detail = format!(
                    "the key {:?} of dimensions has {} bytes, the limit is {}",
                    excerpt(key),
                    key.len(),
                    self.dimension_key_bytes
                );
                return Err(Reject::new(RejectCode::DimensionKeyTooLong, detail));
            }
            if value.len() > self.dimension_value_bytes {
                let detail = format!(
                    "the value of dimension {:?} has {} bytes, the limit is {}",
                    excerpt(key),
                    value.len(),
                    self.dimension_value_bytes
                );
                return Err(Reject::new(RejectCode::DimensionValueTooLong, detail));
            }
        }
        Ok(())
    }
}

/// Whether a text holds characters that are not for showing; names and keys may not.
#[must_use]
pub fn has_control_characters(text: &str) -> bool {
    text.bytes().any(|byte| byte < 0x20 || byte == 0x7f)
}

/// The first characters of a text that is shown to people.
#[must_use]
pub fn excerpt(text: &str) -> &str {
    let end = text.char_indices().nth(40).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::time::DAY_MS;

    const NOW: i64 = 1_735_603_200_000;

    fn limits() -> SampleLimits {
        SampleLimits {
            name_bytes: 4,
            dimension_key_bytes: 3,
            dimension_value_bytes: 5,
            dimensions: 2,
            oldest_age_ms: Some(1000),
            future_ms: Some(500),
        }
    }

    fn judge(name: &str, timestamp: i64, value: f64, dimensions: &[(&str, &str)]) -> Option<RejectCode> {
        let mut dimensions = dimensions.to_vec();
        limits().check(name, timestamp, value, &mut dimensions, NOW, 0).err().map(|reject| reject.code)
    }

    #[test]
    fn each_fault_has_its_code() {
        assert_eq!(judge("m", NOW, 1.0, &[("a", "1"), ("b", "2")]), None);
        assert_eq!(judge("", NOW, 1.0, &[]), Some(RejectCode::InvalidName));
        assert_eq!(judge("a\nb", NOW, 1.0, &[]), Some(RejectCode::InvalidName));
        assert_eq!(judge("abcde", NOW, 1.0, &[]), Some(RejectCode::NameTooLong));
        assert_eq!(judge("m", i64::MAX, 1.0, &[]), Some(RejectCode::InvalidTimestamp));
        assert_eq!(judge("m", i64::MIN, 1.0, &[]), Some(RejectCode::InvalidTimestamp));
        assert_eq!(judge("m", NOW + 501, 1.0, &[]), Some(RejectCode::TimestampTooNew));
        assert_eq!(judge("m", NOW - 1001, 1.0, &[]), Some(RejectCode::TimestampTooOld));
        assert_eq!(judge("m", NOW, f64::NAN, &[]), Some(RejectCode::ValueNotFinite));
        assert_eq!(judge("m", NOW, f64::INFINITY, &[]), Some(RejectCode::ValueNotFinite));
        assert_eq!(judge("m", NOW, 1.0, &[("a", "1"), ("a", "1")]), Some(RejectCode::DuplicateKey));
        assert_eq!(judge("m", NOW, 1.0, &[("a", ""), ("b", "1"), ("a", "")]), Some(RejectCode::DuplicateKey));
        assert_eq!(judge("m", NOW, 1.0, &[("", "1")]), Some(RejectCode::InvalidDimensionKey));
        assert_eq!(judge("m", NOW, 1.0, &[("a\0", "1")]), Some(RejectCode::InvalidDimensionKey));
        assert_eq!(judge("m", NOW, 1.0, &[("abcd", "1")]), Some(RejectCode::DimensionKeyTooLong));
        assert_eq!(judge("m", NOW, 1.0, &[("a", "123456")]), Some(RejectCode::DimensionValueTooLong));
        assert_eq!(judge("m", NOW, 1.0, &[("a", "1"), ("b", "1"), ("c", "1")]), Some(RejectCode::TooManyDimensions));
        assert_eq!(judge("m", NOW, 1.0, &[("a", "1"), ("b", ""), ("c", "1")]), None);
    }

    #[test]
    fn retention_rejects_what_it_would_have_dropped() {
        let limits = SampleLimits { oldest_age_ms: None, ..limits() };
        let mut none: Vec<(&str, &str)> = Vec::new();
        assert!(limits.check("m", NOW - 2 * DAY_MS, 1.0, &mut none, NOW, 2).is_ok());
        let reject = limits.check("m", NOW - 2 * DAY_MS - 1, 1.0, &mut none, NOW, 2).unwrap_err();
        assert_eq!(reject.code, RejectCode::RetentionExceeded);
    }

    #[test]
    fn dimensions_become_canonical() {
        let mut dimensions = vec![("c", "3"), ("b", ""), ("a", "1")];
        limits().check("m", NOW, 1.0, &mut dimensions, NOW, 0).unwrap();
        assert_eq!(dimensions, [("a", "1"), ("c", "3")]);
    }
}
