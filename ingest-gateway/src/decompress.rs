//! Decompress: a body as its client wrote it, under a limit and within the budget of memory.

use std::io::{ErrorKind, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use luminate_runtime::http::{BudgetExhausted, LimitedBody, MemoryPermit, Problem};

use crate::head::BodyEncoding;
use crate::problems;

/// The first guess at how much larger a body is when it is decompressed. JSON of samples shrinks more than this.
const FIRST_GUESS: usize = 4;

/// The smallest buffer.
const MIN_BUFFER: usize = 16 << 10;

/// The largest window of zstd that is taken, as a power of two: 8 MiB, as RFC 8878 recommends. A larger one would be
/// allocated before a byte is decompressed.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The most that one request takes from the memory budget: its body as sent, the same decompressed through the largest window,
/// and the records that are made of it, which are smaller than it.
#[must_use]
pub(crate) fn largest_request_bytes(max_body_bytes: u64, max_decompressed_bytes: u64) -> u64 {
    max_body_bytes.saturating_add(max_decompressed_bytes.saturating_mul(2)).saturating_add((1 << ZSTD_WINDOW_LOG) + 1)
}

/// Why a body cannot be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// The body is not what its encoding says, or is cut off.
    #[error("the body cannot be decompressed: {0}")]
    Invalid(std::io::Error),
    /// The body has more bytes than allowed.
    #[error("the decompressed body has more than the {limit} bytes allowed")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// There is no memory left for it now.
    #[error(transparent)]
    Exhausted(#[from] BudgetExhausted),
}

/// Decompresses a body up to `limit` bytes, and not a byte beyond; the body's permit then stands for the result.
///
/// # Errors
/// [`DecompressError`]
pub fn decompress(body: LimitedBody, encoding: BodyEncoding, limit: usize) -> Result<LimitedBody, DecompressError> {
    let LimitedBody { bytes, mut permit } = body;
    let bytes = match encoding {
        BodyEncoding::Identity if bytes.len() > limit => return Err(DecompressError::TooLarge { limit }),
        BodyEncoding::Identity => bytes,
        BodyEncoding::Gzip => read_all(MultiGzDecoder::new(bytes.as_ref()), &mut permit, bytes.len(), limit)?,
        BodyEncoding::Zstd => {
            permit.grow(1 << ZSTD_WINDOW_LOG)?;
            let mut reader =
                zstd::stream::read::Decoder::with_buffer(bytes.as_ref()).map_err(DecompressError::Invalid)?;
            reader.window_log_max(ZSTD_WINDOW_LOG).map_err(DecompressError::Invalid)?;
            read_all(reader, &mut permit, bytes.len(), limit)?
        }
    };
    permit.shrink_to(bytes.len() as u64);
    Ok(LimitedBody { bytes, permit })
}

/// Reads everything; the permit grows before the buffer does.
fn read_all(
    mut reader: impl Read,
    permit: &mut MemoryPermit,
    compressed: usize,
    limit: usize,
) -> Result<Bytes, DecompressError> {
    let mut buffer = Vec::new();
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            // One byte beyond the limit tells a body that ends there from one that goes on.
            let grown = if buffer.is_empty() { compressed.saturating_mul(FIRST_GUESS) } else { buffer.len() * 2 };
            let grown = grown.max(MIN_BUFFER).min(limit.saturating_add(1));
            if grown == filled {
                return Err(DecompressError::TooLarge { limit });
            }
            permit.grow((grown - filled) as u64)?;
            buffer.resize(grown, 0);
        }
        match reader.read(buffer.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(DecompressError::Invalid(error)),
        }
    }
    if filled > limit {
        return Err(DecompressError::TooLarge { limit });
    }
    buffer.truncate(filled);
    Ok(Bytes::from(buffer))
}

impl From<DecompressError> for Problem {
    fn from(error: DecompressError) -> Self {
        match error {
            DecompressError::Exhausted(error) => error.into(),
            DecompressError::Invalid(_) => {
                Self::new(&problems::CONTENT_ENCODING_INVALID).detail("the compressed body is damaged or cut off")
            }
            DecompressError::TooLarge { limit } => {
                Self::new(&problems::DECOMPRESSED_BODY_TOO_LARGE).detail(error.to_string()).member("limit", limit)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use luminate_runtime::http::MemoryBudget;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn run(bytes: &[u8], encoding: BodyEncoding, limit: usize) -> Result<Vec<u8>, DecompressError> {
        let budget = MemoryBudget::new(64 << 20);
        let body =
            LimitedBody { bytes: Bytes::copy_from_slice(bytes), permit: budget.take(bytes.len() as u64).unwrap() };
        let result = decompress(body, encoding, limit);
        match result {
            Ok(body) => {
                assert_eq!(budget.used(), body.bytes.len() as u64, "the permit stands for the result");
                Ok(body.bytes.to_vec())
            }
            Err(error) => {
                assert_eq!(budget.used(), 0, "a refused body leaves nothing behind");
                Err(error)
            }
        }
    }

    #[test]
    fn every_encoding_is_taken_up_to_the_limit_and_not_a_byte_more() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        for (bytes, encoding) in
            [(text.clone(), BodyEncoding::Identity), (gzip(&text), BodyEncoding::Gzip), (zstd, BodyEncoding::Zstd)]
        {
            for limit in [text.len(), text.len() + 1, 1 << 30] {
                assert_eq!(run(&bytes, encoding, limit).unwrap(), text, "{encoding:?}");
            }
            for limit in [text.len() - 1, 16 << 10, 0] {
                let error = run(&bytes, encoding, limit).unwrap_err();
                assert!(matches!(error, DecompressError::TooLarge { .. }), "{encoding:?} {limit}: {error}");
            }
        }
    }

    #[test]
    fn members_and_frames_may_follow_each_other() {
        assert_eq!(run(&[gzip(b"ab"), gzip(b"cd")].concat(), BodyEncoding::Gzip, 10).unwrap(), b"abcd");
        let frame = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        assert_eq!(run(&[frame(b"ab"), frame(b"cd")].concat(), BodyEncoding::Zstd, 10).unwrap(), b"abcd");
    }

    #[test]
    fn damaged_and_cut_bodies_are_refused() {
        let text = b"hello, hello, hello, hello".repeat(50);
        for (bytes, encoding) in
            [(gzip(&text), BodyEncoding::Gzip), (zstd::encode_all(&text[..], 1).unwrap(), BodyEncoding::Zstd)]
        {
            for cut in 1..bytes.len() {
                let error = run(&bytes[..cut], encoding, 1 << 20).unwrap_err();
                assert!(matches!(error, DecompressError::Invalid(_)), "{encoding:?} cut to {cut}: {error}");
            }
            let garbage = [&bytes[..], b"garbage"].concat();
            assert!(run(&garbage, encoding, 1 << 20).is_err(), "{encoding:?} with garbage behind");
            assert!(run(b"{\"metrics\":[]}", encoding, 1 << 20).is_err());
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 50 << 20]);
        assert!(bomb.len() < 100 << 10);
        assert!(matches!(run(&bomb, BodyEncoding::Gzip, 1 << 20), Err(DecompressError::TooLarge { limit: 1_048_576 })));
    }

    #[test]
    fn memory_is_taken_from_the_budget_before_it_is_used() {
        let bomb = gzip(&vec![0; 1 << 20]);
        let budget = MemoryBudget::new(100 << 10);
        let body = LimitedBody { bytes: bomb.into(), permit: budget.take(2000).unwrap() };
        assert!(matches!(decompress(body, BodyEncoding::Gzip, 64 << 20), Err(DecompressError::Exhausted(_))));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn windows_beyond_eight_mebibytes_are_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(24).unwrap();
        encoder.write_all(&vec![1; 1000]).unwrap();
        let bytes = encoder.finish().unwrap();
        assert!(matches!(run(&bytes, BodyEncoding::Zstd, 1 << 20), Err(DecompressError::Invalid(_))));
    }
}
