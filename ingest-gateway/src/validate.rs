//! Validate: whether a sample that was decoded is stored. Decided here once, with the gateway's clock, and nowhere again.

use luminate_model::validation::SampleLimits;
use luminate_model::{Reject, TenantRetention};

use crate::decode::DecodedSample;

/// Judges the samples of one write request: with one clock reading, so that equal samples fare alike.
#[derive(Debug)]
pub struct Validator {
    /// What makes a sample valid.
    pub limits: SampleLimits,
    /// How long the tenant keeps its metrics.
    pub retention: TenantRetention,
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
