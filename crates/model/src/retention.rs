//! How long samples are kept: for ever, unless a tenant or a metric sets it.

use std::collections::BTreeMap;

use crate::tenant::TenantId;
use crate::time::retention_floor;

/// The retention of one tenant's metrics, as set today. Days; 0 for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantRetention {
    /// For metrics that are not named below.
    pub default_days: u16,
    /// For single metrics.
    pub metrics: BTreeMap<String, u16>,
}

impl TenantRetention {
    /// The days that `metric` is kept; 0 for ever.
    #[must_use]
    pub fn days(&self, metric: &str) -> u16 {
        self.metrics.get(metric).copied().unwrap_or(self.default_days)
    }

    /// The first timestamp of `metric` that may be shown at `now`, for samples that were written with a retention of
    /// `written_days`: the shorter of both rules counts, whatever the setting was when the sample was written.
    #[must_use]
    pub fn floor(&self, metric: &str, written_days: u16, now: i64) -> i64 {
        retention_floor(now, written_days).max(retention_floor(now, self.days(metric)))
    }
}

/// The retention of all tenants, as set today.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionRules {
    /// For tenants that are not named below.
    pub default_days: u16,
    /// For single tenants.
    pub tenants: BTreeMap<TenantId, TenantRetention>,
}

impl RetentionRules {
    /// What holds for one tenant.
    #[must_use]
    pub fn of(&self, tenant: &TenantId) -> TenantRetention {
        let default = || TenantRetention { default_days: self.default_days, metrics: BTreeMap::new() };
        self.tenants.get(tenant).cloned().unwrap_or_else(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DAY_MS, MIN_TIMESTAMP};

    #[test]
    fn the_shorter_rule_counts() {
        let metrics = BTreeMap::from([("short".to_owned(), 2_u16)]);
        let retention = TenantRetention { default_days: 0, metrics };
        let now = 100 * DAY_MS;
        assert_eq!(retention.floor("other", 0, now), MIN_TIMESTAMP);
        assert_eq!(retention.floor("other", 5, now), 95 * DAY_MS);
        assert_eq!(retention.floor("short", 5, now), 98 * DAY_MS);
        assert_eq!(retention.floor("short", 1, now), 99 * DAY_MS);
    }
}
