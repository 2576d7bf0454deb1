//! Samples to write, made from a seed.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

/// Milliseconds since 1970, now.
pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.as_millis() as i64
}

/// Makes write requests whose samples can be told apart: each carries a number of its own in the dimension `n`.
pub struct SampleMaker {
    random: StdRng,
    next: u64,
}

impl SampleMaker {
    pub fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), next: 0 }
    }

    /// How many samples were made so far.
    pub fn made(&self) -> u64 {
        self.next
    }

    /// A body of `samples` samples of `metric`, and the numbers that they carry.
    pub fn body(&mut self, metric: &str, samples: usize) -> (Value, std::ops::Range<u64>) {
        let first = self.next;
        let now = now_ms();
        let metrics: Vec<Value> = (0..samples)
            .map(|_| {
                let number = self.next;
                self.next += 1;
                json!({
                    "name": metric, "timestamp": now - self.random.random_range(0..3_600_000), "value": number,
                    "dimensions": {"n": number.to_string(), "region": format!("region-{}", self.random.random_range(0..5))},
                })
            })
            .collect();
        (json!({ "metrics": metrics }), first..self.next)
    }
}
