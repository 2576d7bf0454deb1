//! Time in milliseconds since 1970, UTC.

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

/// The earliest timestamp a record may hold: 1900-01-01, where ClickHouse's `DateTime64` begins.
pub const MIN_TIMESTAMP: i64 = -2_208_988_800_000;

/// The first timestamp a record may not hold any more: 2300-01-01.
pub const END_TIMESTAMP: i64 = 10_413_792_000_000;

/// The longest retention that can be set, in days; beyond it ClickHouse's `DateTime` arithmetic wraps (it ends in 2106).
pub const MAX_RETENTION_DAYS: u16 = 10_000;

/// A span of time, `[start, end)`, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First millisecond inside.
    pub start: i64,
    /// First millisecond after.
    pub end: i64,
}

impl TimeRange {
    /// Everything a record can hold.
    pub const ALL: Self = Self { start: MIN_TIMESTAMP, end: END_TIMESTAMP };

    /// Whether `timestamp` lies inside.
    #[must_use]
    pub const fn contains(&self, timestamp: i64) -> bool {
        self.start <= timestamp && timestamp < self.end
    }

    /// Whether no timestamp lies inside.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether some timestamp from `first` to `last`, both included, lies inside.
    #[must_use]
    pub const fn overlaps(&self, first: i64, last: i64) -> bool {
        self.start <= last && first < self.end
    }

    /// Whether all timestamps from `first` to `last`, both included, lie inside.
    #[must_use]
    pub const fn covers(&self, first: i64, last: i64) -> bool {
        self.start <= first && last < self.end
    }
}

/// The UTC day of a timestamp, in days since 1970; negative before.
#[must_use]
pub const fn utc_day(timestamp: i64) -> i64 {
    timestamp.div_euclid(DAY_MS)
}

/// The first timestamp that a retention of `days` still keeps at `now`; 0 days keeps everything.
#[must_use]
pub const fn retention_floor(now: i64, days: u16) -> i64 {
    if days == 0 { MIN_TIMESTAMP } else { now - days as i64 * DAY_MS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_before_1970_are_negative_and_whole() {
        assert_eq!(utc_day(0), 0);
        assert_eq!(utc_day(-1), -1);
        assert_eq!(utc_day(-DAY_MS), -1);
        assert_eq!(utc_day(DAY_MS), 1);
    }

    #[test]
    fn ranges_are_half_open() {
        let range = TimeRange { start: 10, end: 20 };
        assert!(range.contains(10) && !range.contains(20));
        assert!(range.overlaps(0, 10) && !range.overlaps(20, 30) && !range.overlaps(0, 9));
        assert!(range.covers(10, 19) && !range.covers(10, 20));
        assert!(TimeRange { start: 5, end: 5 }.is_empty());
    }

    #[test]
    fn retention_keeps_its_days_and_zero_keeps_all() {
        assert_eq!(retention_floor(10 * DAY_MS, 3), 7 * DAY_MS);
        assert_eq!(retention_floor(10 * DAY_MS, 0), MIN_TIMESTAMP);
    }
}
