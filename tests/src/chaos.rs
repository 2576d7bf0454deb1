//! Longer fault runs, which `make chaos` starts: their seed, how many rounds, and how far they are.

use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Rounds of a fault run. Each is told as it begins; whatever is random comes from the seed, which is told first.
pub struct Rounds {
    name: &'static str,
    seed: u64,
    count: u64,
    /// What decides about everything random of the run.
    pub random: StdRng,
    began: Instant,
    round: u64,
}

impl Rounds {
    /// The rounds of an ordinary test: few, and always the same.
    pub fn few(name: &'static str, count: u64) -> Self {
        Self::new(name, count, 20_150_517)
    }

    /// The rounds of a long run: as many as `LUMINATE_CHAOS_ROUNDS` says, else `count`, from the seed in
    /// `LUMINATE_CHAOS_SEED`, else one of their own.
    pub fn many(name: &'static str, count: u64) -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let seed = number("LUMINATE_CHAOS_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
        Self::new(name, number("LUMINATE_CHAOS_ROUNDS").unwrap_or(count), seed)
    }

    fn new(name: &'static str, count: u64, seed: u64) -> Self {
        eprintln!("{name}: {count} rounds, seed {seed}");
        Self { name, seed, count, random: StdRng::seed_from_u64(seed), began: Instant::now(), round: 0 }
    }

    /// With rounds to spare, for a run that goes on until what it is about has happened.
    #[must_use]
    pub fn with_spare(mut self, spare: u64) -> Self {
        self.count += spare;
        self
    }

    /// What everything random of the run comes from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many rounds there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The next round's number, from 0 on; none after the last.
    pub fn next_round(&mut self) -> Option<u64> {
        if self.round == self.count {
            return None;
        }
        self.round += 1;
        eprintln!("{}: round {} of {} after {:.0?}", self.name, self.round, self.count, self.began.elapsed());
        Some(self.round - 1)
    }

    /// A time of at most so many milliseconds, to sleep: when something happens is what these runs are about.
    pub fn moment(&mut self, at_most_ms: u64) -> std::time::Duration {
        std::time::Duration::from_millis(self.random.random_range(0..at_most_ms))
    }

    /// Tells how the run has ended.
    pub fn tell(&self, outcome: impl std::fmt::Display) {
        eprintln!("{}: {} rounds, seed {}: {outcome}", self.name, self.count, self.seed);
    }
}
