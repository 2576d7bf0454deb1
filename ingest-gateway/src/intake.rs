//! The way of the samples of one body: decode, validate, route, in one pass and without a sample in between.

use std::num::NonZeroU32;

use luminate_model::Reject;

use crate::decode::{DecodedSample, Decoder, RequestFault, SampleSink};
use crate::rejects::Rejects;
use crate::route::{Routed, Splitter};
use crate::validate::Validator;

/// What a body became.
#[derive(Debug, Default)]
pub struct Intake {
    /// Samples in the body.
    pub samples: u32,
    /// The valid ones, as records.
    pub routed: Routed,
    /// The others.
    pub rejects: Rejects,
}

/// Takes the samples of one body.
pub struct Taker {
    validator: Validator,
    splitter: Splitter,
    rejects: Rejects,
    samples: u32,
    max_samples: u32,
}

impl Taker {
    /// Takes up to `max_samples` and splits the valid ones among `shards`.
    #[must_use]
    pub fn new(validator: Validator, shards: NonZeroU32, max_samples: NonZeroU32) -> Self {
        let splitter = Splitter::new(shards);
        Self { validator, splitter, rejects: Rejects::default(), samples: 0, max_samples: max_samples.get() }
    }

    /// Takes all samples of the body.
    ///
    /// # Errors
    /// [`RequestFault`] where the request as a whole is refused; nothing of it is kept.
    pub fn take_all(mut self, decoder: &dyn Decoder, body: &[u8]) -> Result<Intake, RequestFault> {
        self.splitter.expect_bytes(body.len());
        decoder.decode(body, &mut self)?;
        Ok(Intake { samples: self.samples, routed: self.splitter.finish(), rejects: self.rejects })
    }
}

impl<'b> SampleSink<'b> for Taker {
    fn take(&mut self, at: usize, sample: Result<&mut DecodedSample<'b>, Reject>) -> Result<(), RequestFault> {
        if self.samples == self.max_samples {
            return Err(RequestFault::TooManySamples { limit: self.max_samples as usize });
        }
        let index = self.samples;
        self.samples += 1;
        self.splitter.begin(at);
        match sample.and_then(|sample| self.validator.judge(sample)) {
            Ok(valid) => self.splitter.put(index, &valid),
            Err(reject) => self.rejects.add(index, reject),
        }
        Ok(())
    }
}
