//! What the directory keeps of a block.

use luminate_model::Offset;
use luminate_storage::Span;

use super::keys::{read_source, source_bytes};
use crate::block::{BlockId, BlockSummary};
use crate::error::DatabaseError;

/// A window of time that blocks of one run do not cross: `[start, start + width)` in ms since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Window {
    pub(crate) start: i64,
    pub(crate) width: i64,
}

impl Window {
    /// The window of this width that a timestamp lies in.
    pub(crate) fn of(timestamp: i64, width: i64) -> Self {
        Self { start: timestamp.div_euclid(width) * width, width }
    }
}

/// Where a block's samples came from: for each source the range that holds all their offsets, ascending by source. A
/// range may hold other offsets too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Provenance {
    spans: Vec<Span>,
}

impl Provenance {
    pub(crate) fn of(span: Span) -> Self {
        Self { spans: vec![span] }
    }

    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Widens this to hold another as well.
    pub(crate) fn join(&mut self, other: &Self) {
        for span in &other.spans {
            match self.spans.binary_search_by_key(&span.source, |known| known.source) {
                Ok(at) => {
                    if let Some(known) = self.spans.get_mut(at) {
                        known.first = known.first.min(span.first);
                        known.next = known.next.max(span.next);
                    }
                }
                Err(at) => self.spans.insert(at, *span),
            }
        }
    }
}

/// Which run a block belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The blocks of one batch; the run is the number of its first block.
    Arrival { run: u64 },
    /// The blocks that one merge made of one tenant and window; the run is the number of the first of them.
    Merged { run: u64, window: Window },
}

/// A block's entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    pub(crate) provenance: Provenance,
    pub(crate) summary: BlockSummary,
}

const ARRIVAL: u8 = 0;
const MERGED: u8 = 1;

impl Entry {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (letter, run, window) = match self.place {
            Place::Arrival { run } => (ARRIVAL, run, Window { start: 0, width: 0 }),
            Place::Merged { run, window } => (MERGED, run, window),
        };
        bytes.push(letter);
        bytes.extend_from_slice(&run.to_be_bytes());
        bytes.extend_from_slice(&window.start.to_be_bytes());
        bytes.extend_from_slice(&window.width.to_be_bytes());
        bytes.extend_from_slice(&(self.provenance.spans.len() as u32).to_be_bytes());
        for span in &self.provenance.spans {
            bytes.extend_from_slice(&source_bytes(span.source));
            bytes.extend_from_slice(&span.first.0.to_be_bytes());
            bytes.extend_from_slice(&span.next.0.to_be_bytes());
        }
        bytes.extend_from_slice(&self.summary.encode());
        bytes
    }

    pub(crate) fn decode(block: BlockId, bytes: &[u8]) -> Result<Self, DatabaseError> {
        let damaged = || DatabaseError::Damaged(format!("the directory's entry of block {block} is cut off"));
        let (place, rest) = read_place(bytes).ok_or_else(damaged)?;
        let (spans, mut rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let mut provenance = Provenance::default();
        for _ in 0..u32::from_be_bytes(*spans) {
            let (span, after) = read_span(rest).ok_or_else(damaged)?;
            provenance.spans.push(span);
            rest = after;
        }
        let summary = BlockSummary::decode(rest)
            .map_err(|error| DatabaseError::Damaged(format!("the directory's entry of block {block}: {error}")))?;
        Ok(Self { place, provenance, summary })
    }
}

fn read_place(bytes: &[u8]) -> Option<(Place, &[u8])> {
    let (&letter, rest) = bytes.split_first()?;
    let (run, rest) = rest.split_first_chunk::<8>()?;
    let (start, rest) = rest.split_first_chunk::<8>()?;
    let (width, rest) = rest.split_first_chunk::<8>()?;
    let run = u64::from_be_bytes(*run);
    let window = Window { start: i64::from_be_bytes(*start), width: i64::from_be_bytes(*width) };
    match letter {
        ARRIVAL => Some((Place::Arrival { run }, rest)),
        MERGED if window.width > 0 => Some((Place::Merged { run, window }, rest)),
        _ => None,
    }
}

fn read_span(bytes: &[u8]) -> Option<(Span, &[u8])> {
    let (source, rest) = read_source(bytes)?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (next, rest) = rest.split_first_chunk::<8>()?;
    let (first, next) = (Offset(u64::from_be_bytes(*first)), Offset(u64::from_be_bytes(*next)));
    Some((Span { source, first, next }, rest))
}

#[cfg(test)]
mod tests {
    use luminate_model::time::DAY_MS;
    use luminate_model::{Incarnation, Source};

    use super::*;

    fn span(partition: u32, first: u64, next: u64) -> Span {
        let source = Source { incarnation: Incarnation([1; 16]), partition };
        Span { source, first: Offset(first), next: Offset(next) }
    }

    #[test]
    fn joined_provenance_holds_both() {
        let mut joined = Provenance::of(span(2, 5, 9));
        joined.join(&Provenance::of(span(1, 3, 4)));
        joined.join(&Provenance::of(span(2, 1, 7)));
        assert_eq!(joined.spans(), [span(1, 3, 4), span(2, 1, 9)]);
    }

    #[test]
    fn windows_lie_on_multiples_of_their_width() {
        assert_eq!(Window::of(-1, DAY_MS), Window { start: -DAY_MS, width: DAY_MS });
        assert_eq!(Window::of(DAY_MS * 33, 32 * DAY_MS).start, 32 * DAY_MS);
    }
}
