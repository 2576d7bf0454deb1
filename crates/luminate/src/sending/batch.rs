//! The samples of one write request.

/// Samples as lines of JSON, each with its line in the input. Bounded by what the caller adds.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    body: Vec<u8>,
    lines: Vec<u64>,
}

/// The most bytes of a write request, unless a single sample is larger: far below what servers take.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

impl Batch {
    /// Adds a sample: JSON without a line's end, from line `line` (from 1) of the input.
    pub(crate) fn add(&mut self, sample: &[u8], line: u64) {
        self.body.extend_from_slice(sample);
        self.body.push(b'\n');
        self.lines.push(line);
    }

    /// Whether it should be sent before a sample of `next_bytes` is added.
    pub(crate) fn is_full(&self, next_bytes: usize, max_samples: usize) -> bool {
        !self.is_empty() && (self.lines.len() >= max_samples || self.body.len() + next_bytes >= MAX_BODY_BYTES)
    }

    /// Whether it holds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many samples it holds.
    pub(crate) fn samples(&self) -> u64 {
        self.lines.len() as u64
    }

    /// The body of the write request, as JSON lines.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The line in the input of the sample at `index` of the request.
    pub(crate) fn line(&self, index: u64) -> Option<u64> {
        self.lines.get(usize::try_from(index).ok()?).copied()
    }

    /// Removes all samples, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.body.clear();
        self.lines.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_lines_and_is_full_by_samples_and_by_bytes() {
        let mut batch = Batch::default();
        assert!(!batch.is_full(2 * MAX_BODY_BYTES, 1), "a sample that is too large goes alone");
        batch.add(b"{}", 7);
        batch.add(b"{}", 9);
        assert_eq!((batch.body(), batch.samples()), (&b"{}\n{}\n"[..], 2));
        assert_eq!((batch.line(0), batch.line(1), batch.line(2)), (Some(7), Some(9), None));
        assert!(batch.is_full(2, 2) && !batch.is_full(2, 3) && batch.is_full(MAX_BODY_BYTES, 3));
        batch.clear();
        assert!(batch.is_empty());
    }
}
