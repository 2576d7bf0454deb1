//! What becomes of the samples of a direct producer's record: the valid ones are stored, the others kept as rejects.

use luminate_model::{Reject, SampleColumns};

/// The largest value of a direct producer's record that is read, in bytes: of what is decoded, this bounds what it takes in memory.
/// What a batch of compressed records takes before is bounded by the Kafka client, whose bound holds for Zstandard alone: brokers
/// compress tenants' topics so.
pub const MAX_DIRECT_VALUE_BYTES: usize = 8 * 1024 * 1024;

/// So many rejected samples of a record are kept one by one; what is rejected beyond is kept together, so that a record of
/// nothing but rejects does not become a hundred thousand dead letters.
pub const MAX_SINGLE_REJECTS: usize = 100;

/// A record's samples after each was judged.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedSamples {
    /// The valid ones, in their order.
    pub samples: SampleColumns,
    /// The others, in their order.
    pub rejected: Vec<RejectedSamples>,
}

impl JudgedSamples {
    /// Samples without a reject.
    #[must_use]
    pub fn all_valid(samples: SampleColumns) -> Self {
        Self { samples, rejected: Vec::new() }
    }
}

/// One rejected sample, or, in the last place of a record with very many, all further ones together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedSamples {
    /// The index in the record of the (first) sample.
    pub index: u32,
    /// How many samples these are.
    pub samples: u32,
    /// Why the (first) sample was rejected.
    pub reject: Reject,
    /// The value of a record that holds these samples and no other, so that they can be written again alone.
    pub value: Vec<u8>,
}

/// Gathers rejected samples in the form `S`, in which they stand in the record.
pub(crate) struct Rejects<S> {
    single: Vec<(u32, Reject, S)>,
    further: Option<(u32, Reject)>,
    further_samples: Vec<S>,
}

impl<S> Rejects<S> {
    pub(crate) fn new() -> Self {
        Self { single: Vec::new(), further: None, further_samples: Vec::new() }
    }

    pub(crate) fn push(&mut self, index: u32, reject: Reject, sample: S) {
        if self.single.len() < MAX_SINGLE_REJECTS {
            self.single.push((index, reject, sample));
        } else {
            self.further.get_or_insert((index, reject));
            self.further_samples.push(sample);
        }
    }

    /// The rejects, each with the value that `encode` makes of its samples.
    pub(crate) fn finish(self, encode: impl Fn(&[S]) -> Vec<u8>) -> Vec<RejectedSamples> {
        let single = self.single.into_iter().map(|(index, reject, sample)| RejectedSamples {
            index,
            samples: 1,
            reject,
            value: encode(&[sample]),
        });
        let mut rejected: Vec<_> = single.collect();
        if let Some((index, Reject { code, detail })) = self.further {
            let samples = self.further_samples.len() as u32;
            let detail = format!("{detail} (the first of {samples} samples that are kept together)");
            let value = encode(&self.further_samples);
            rejected.push(RejectedSamples { index, samples, reject: Reject::new(code, detail), value });
        }
        rejected
    }
}
