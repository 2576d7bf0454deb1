//! Columns packed by `pco`, within bounds that do not depend on the bytes.

use pco::metadata::DeltaEncoding;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::PCO;
use crate::block::bytes::Fault;

const LEVEL: usize = 4;
/// Where `pco` says in what mode a column is, and the mode that is a dictionary.
const MODE_BITS: u8 = 0x0f;
const DICTIONARY: u8 = 4;

/// What `pco` is asked to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::block) enum Pco {
    /// Nothing: it would save little.
    Nothing,
    /// The numbers themselves.
    Numbers,
    /// Differences from one number to the next.
    Differences,
}

impl Pco {
    /// For numbers of any kind: `pco` looks for multiples and fractions.
    pub(super) fn config(self) -> ChunkConfig {
        let delta = if self == Self::Differences { DeltaSpec::TryConsecutive(1) } else { DeltaSpec::NoOp };
        ChunkConfig::default().with_compression_level(LEVEL).with_delta_spec(delta)
    }

    /// For numbers that are known to be no multiples.
    pub(super) fn plain_config(self) -> ChunkConfig {
        self.config().with_mode_spec(ModeSpec::Classic)
    }
}

/// Appends numbers packed by `pco`; false where it refuses.
pub(super) fn put_pco<T: pco::data_types::Number>(out: &mut Vec<u8>, numbers: &[T], config: &ChunkConfig) -> bool {
    out.push(PCO);
    let file = FileCompressor::default();
    let mut write = || {
        file.write_header(&mut *out)?;
        let mut chunk = file.chunk_compressor(numbers, config)?;
        chunk.write_meta(&mut *out)?;
        chunk.write_page(0, &mut *out).map(|_| ())
    };
    write().is_ok()
}

/// Reads what [`put_pco`] wrote. `filler` is any number.
pub(super) fn get_pco<T: pco::data_types::Number>(
    bytes: &[u8],
    numbers: usize,
    filler: T,
    out: &mut Vec<T>,
) -> Result<(), Fault> {
    const FAULT: Fault = "a column does not unpack";
    let (file, rest) = FileDecompressor::new(bytes).map_err(|_| FAULT)?;
    // The mode stands first, and one of them is a dictionary, for which memory is taken by a length in the bytes.
    if rest.first().is_none_or(|first| first & MODE_BITS == DICTIONARY) {
        return Err(FAULT);
    }
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest).map_err(|_| FAULT)?;
    // Others are never written; a lookback would let bytes ask for a window of any size.
    if !matches!(chunk.meta().delta_encoding, DeltaEncoding::NoOp | DeltaEncoding::Consecutive { .. }) {
        return Err(FAULT);
    }
    out.resize(numbers, filler);
    let mut page = chunk.page_decompressor(rest, numbers).map_err(|_| FAULT)?;
    let progress = page.read(out).map_err(|_| FAULT)?;
    if progress.n_processed == numbers && progress.finished && page.into_src().is_empty() { Ok(()) } else { Err(FAULT) }
}
