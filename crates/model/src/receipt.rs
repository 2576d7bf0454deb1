//! What a writer of samples can wait for: the next offsets of the records that its write request became.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::provenance::{Incarnation, Offset, Source};

/// The longest receipt, in characters.
pub const MAX_RECEIPT_CHARS: usize = 2048;

const VERSION: u8 = 1;

/// For each source that a write request reached, the offset after its last record there. A store that has passed all of
/// them shows every sample of the request. The same form tells a watermark: how far a store has come.
///
/// As text: base64url of a version byte and, per source, the incarnation's 16 bytes, then partition and next offset as
/// LEB128 varints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    places: Vec<(Source, Offset)>,
}

/// The text is no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "malformed receipt of {size} characters: expected what a write request answered, at most {MAX_RECEIPT_CHARS} characters"
)]
pub struct ReceiptError {
    /// Size of the refused text in bytes.
    pub size: usize,
}

impl Receipt {
    /// Notes that everything before `next` of `source` is meant; keeps the larger offset where `source` is known.
    pub fn add(&mut self, source: Source, next: Offset) {
        match self.places.binary_search_by_key(&source, |(source, _)| *source) {
            Ok(at) => {
                if let Some((_, known)) = self.places.get_mut(at) {
                    *known = next.max(*known);
                }
            }
            Err(at) => self.places.insert(at, (source, next)),
        }
    }

    /// Sources with their next offsets, sorted by source.
    #[must_use]
    pub fn places(&self) -> &[(Source, Offset)] {
        &self.places
    }

    /// Whether it names no source.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The text that travels in answers and headers; `None` where it would exceed [`MAX_RECEIPT_CHARS`].
    #[must_use]
    pub fn encode(&self) -> Option<String> {
        let mut bytes = vec![VERSION];
        for (source, next) in &self.places {
            bytes.extend_from_slice(&source.incarnation.0);
            write_varint(&mut bytes, u64::from(source.partition));
            write_varint(&mut bytes, next.0);
        }
        let text = URL_SAFE_NO_PAD.encode(bytes);
        (text.len() <= MAX_RECEIPT_CHARS).then_some(text)
    }

    /// Reads a receipt back.
    ///
    /// # Errors
    /// [`ReceiptError`] where the text is too long or was not made by [`Receipt::encode`].
    pub fn decode(text: &str) -> Result<Self, ReceiptError> {
        let error = || ReceiptError { size: text.len() };
        if text.len() > MAX_RECEIPT_CHARS {
            return Err(error());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| error())?;
        let (&version, mut rest) = bytes.split_first().ok_or_else(error)?;
        if version != VERSION {
            return Err(error());
        }
        let mut receipt = Self::default();
        while let Some((incarnation, after)) = rest.split_first_chunk::<16>() {
            let (partition, after) = read_varint(after).ok_or_else(error)?;
            let (next, after) = read_varint(after).ok_or_else(error)?;
            let partition = u32::try_from(partition).map_err(|_| error())?;
            receipt.add(Source { incarnation: Incarnation(*incarnation), partition }, Offset(next));
            rest = after;
        }
        if rest.is_empty() { Ok(receipt) } else { Err(error()) }
    }
}

fn write_varint(out: &mut Vec<u8>, mut rest: u64) {
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7f);
        if at == 9 && part > 1 {
            return None;
        }
        value |= part << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn source(partition: u32) -> Source {
        Source { incarnation: Incarnation([3; 16]), partition }
    }

    #[test]
    fn reads_back_what_it_wrote_and_keeps_the_largest_offset() {
        let mut receipt = Receipt::default();
        receipt.add(source(300), Offset(u64::MAX));
        receipt.add(source(1), Offset(5));
        receipt.add(source(1), Offset(4));
        let text = receipt.encode().unwrap();
        assert_eq!(Receipt::decode(&text).unwrap(), receipt);
        assert_eq!(receipt.places(), [(source(1), Offset(5)), (source(300), Offset(u64::MAX))]);
    }

    #[test]
    fn refuses_what_it_did_not_write() {
        for bad in ["", "!", "AQ==", "AgAA", "AQAA", &"A".repeat(3000)] {
            assert_eq!(Receipt::decode(bad), Err(ReceiptError { size: bad.len() }), "{bad:?}");
        }
    }

    #[test]
    fn says_when_it_would_be_too_long() {
        let mut receipt = Receipt::default();
        (0..200).for_each(|partition| receipt.add(source(partition), Offset(1)));
        assert_eq!(receipt.encode(), None);
    }
}
