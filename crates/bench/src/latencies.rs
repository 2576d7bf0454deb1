//! How long requests took.

use std::time::Duration;

/// Times that were measured, from the shortest to the longest.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// These times, in whatever order.
    #[must_use]
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time, in ms, that a share (0 to 1) of the requests took at most; 0 where there are none.
    #[must_use]
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        let at = rank.clamp(1, self.0.len().max(1)) - 1;
        self.0.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_time_that_the_share_took_at_most() {
        let times = (1..=20).rev().map(Duration::from_millis).collect();
        let latencies = Latencies::new(times);
        let quantiles = [0.0, 0.5, 0.95, 1.0].map(|share| latencies.quantile_ms(share));
        assert_eq!((latencies.count(), quantiles), (20, [1.0, 10.0, 19.0, 20.0]));
        assert_eq!(Latencies::default().quantile_ms(0.95), 0.0);
    }
}
