//! Validate: whether a sample that was decoded is stored. Decided here once, with the gateway's clock, and nowhere again.

use std::collections::HashMap;
use std::sync::Arc;

use luminate_model::validation::SampleLimits;
use luminate_model::{Reject, RetentionRules, TenantId, TenantRetention};

use crate::decode::DecodedSample;

/// Judges the samples of one write request: with one clock reading, so that equal samples fare alike.
#[derive(Debug)]
pub struct Validator {
    /// What makes a sample valid.
    pub limits: SampleLimits,
    /// How long the tenant keeps its metrics.
    pub retention: Arc<TenantRetention>,
    /// When the request came, in ms since 1970.
    pub now: i64,
}

/// A sample that was found valid, in canonical form. Made by [`Validator::judge`] alone.
#[derive(Debug)]
pub struct ValidSample<'s, 'b> {
    sample: &'s DecodedSample<'b>,
    retention_days: u16,
}

impl Validator {
    /// Judges a sample and brings its dimensions into canonical form.
    ///
    /// # Errors
    /// [`Reject`] with the first fault found.
    pub fn judge<'s, 'b>(&self, sample: &'s mut DecodedSample<'b>) -> Result<ValidSample<'s, 'b>, Reject> {
        let retention_days = self.retention.days(&sample.name);
        let DecodedSample { name, timestamp, value, dimensions } = sample;
        self.limits.check(name, *timestamp, *value, dimensions, self.now, retention_days)?;
        Ok(ValidSample { sample, retention_days })
    }
}

impl<'s, 'b> ValidSample<'s, 'b> {
    /// The sample; its dimensions are sorted by key, none is twice, none empty.
    #[must_use]
    pub fn sample(&self) -> &'s DecodedSample<'b> {
        self.sample
    }

    /// The days for which its metric is kept; 0 for ever.
    #[must_use]
    pub fn retention_days(&self) -> u16 {
        self.retention_days
    }
}

/// The retention of every tenant, to be shared by the requests that need it.
#[derive(Debug)]
pub struct Retentions {
    tenants: HashMap<TenantId, Arc<TenantRetention>>,
    default: Arc<TenantRetention>,
}

impl Retentions {
    /// The retention as set.
    #[must_use]
    pub fn new(rules: &RetentionRules) -> Self {
        let share = |(tenant, retention): (&TenantId, &TenantRetention)| (tenant.clone(), Arc::new(retention.clone()));
        let default = TenantRetention { default_days: rules.default_days, ..TenantRetention::default() };
        Self { tenants: rules.tenants.iter().map(share).collect(), default: Arc::new(default) }
    }

    /// What holds for one tenant.
    #[must_use]
    pub fn of(&self, tenant: &TenantId) -> Arc<TenantRetention> {
        Arc::clone(self.tenants.get(tenant).unwrap_or(&self.default))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn retentions_are_those_of_the_rules() {
        let (named, other) = (TenantId::parse("named").unwrap(), TenantId::parse("other").unwrap());
        let metrics = [("short".to_owned(), 2)].into();
        let rules = RetentionRules {
            default_days: 9,
            tenants: [(named.clone(), TenantRetention { default_days: 5, metrics })].into(),
        };
        let retentions = Retentions::new(&rules);
        for tenant in [named, other] {
            assert_eq!(*retentions.of(&tenant), rules.of(&tenant));
        }
    }
}
