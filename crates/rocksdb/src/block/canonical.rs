//! Canonical bytes of series, put together from strings of tables.

use std::ops::Range;

use luminate_model::series::write_canonical_bytes;
use luminate_model::{SeriesId, StringTable};

/// Strings are copied in pieces of this size, which takes a few instructions where copying as many bytes as there are
/// takes a call.
const PIECE: usize = 32;

/// The strings of a table as they stand in canonical bytes, each with a mark of its user's.
pub(super) struct PrefixedStrings<M = ()> {
    /// Ends with a piece that is never used.
    bytes: Vec<u8>,
    /// Where each string ends; before the first string's there is one that is the place where it starts. The mark stands
    /// here because who asks for a string at random asks for its mark too.
    strings: Vec<(u32, M)>,
}

impl<M: Clone + Default> PrefixedStrings<M> {
    pub(super) fn of(table: &StringTable) -> Self {
        Self::collect(table.iter(), table.len(), table.text_bytes())
    }

    /// One string.
    pub(super) fn one(string: &str) -> Self {
        Self::collect(std::iter::once(string), 1, string.len())
    }

    fn collect<'s>(all: impl Iterator<Item = &'s str>, count: usize, text_bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(text_bytes + 2 * count + PIECE);
        let mut strings = Vec::with_capacity(count + 1);
        strings.push((0, M::default()));
        for string in all {
            // The canonical bytes of a series without dimensions are its prefixed name.
            write_canonical_bytes(&mut bytes, string, []);
            strings.push((bytes.len() as u32, M::default()));
        }
        bytes.resize(bytes.len() + PIECE, 0);
        Self { bytes, strings }
    }

    fn range(&self, string: u32) -> Range<usize> {
        let at = string as usize;
        self.strings[at].0 as usize..self.strings[at + 1].0 as usize
    }

    /// A string, without its length before it.
    pub(super) fn text(&self, string: u32) -> &str {
        let prefixed = &self.bytes[self.range(string)];
        let prefix = prefixed.iter().take_while(|byte| **byte >= 0x80).count() + 1;
        // What was put in was a string.
        std::str::from_utf8(&prefixed[prefix..]).unwrap_or_default()
    }

    /// The mark of a string.
    pub(super) fn mark(&mut self, string: u32) -> &mut M {
        &mut self.strings[string as usize + 1].1
    }
}

/// The canonical bytes of one series after another.
#[derive(Default)]
pub(super) struct CanonicalBytes {
    /// Only the first `len` bytes count.
    bytes: Vec<u8>,
    len: usize,
}

impl CanonicalBytes {
    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Keeps the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Appends a string of a table.
    pub(super) fn push<M: Clone + Default>(&mut self, table: &PrefixedStrings<M>, string: u32) {
        let Range { start, end } = table.range(string);
        let needed = self.len + (end - start) + PIECE;
        if self.bytes.len() < needed {
            self.bytes.resize(needed.next_power_of_two(), 0);
        }
        let (mut from, mut to) = (start, self.len);
        while from < end {
            self.bytes[to..to + PIECE].copy_from_slice(&table.bytes[from..from + PIECE]);
            from += PIECE;
            to += PIECE;
        }
        self.len += end - start;
    }

    /// The id of the series with these bytes.
    pub(super) fn series_id(&self) -> u128 {
        SeriesId::of_canonical_bytes(&self.bytes[..self.len]).0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
         #![proptest_config(crate::block::seeded_proptest())]

        #[test]
        fn ids_are_those_of_the_model(
            metric in ".{1,40}",
            dimensions in prop::collection::btree_map(".{1,70}", ".{1,200}", 0..5),
        ) {
            let pairs = || dimensions.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            let metrics = PrefixedStrings::<()>::of(&[&metric].into_iter().collect());
            let keys = PrefixedStrings::<()>::of(&pairs().map(|(key, _)| key).collect());
            let values = PrefixedStrings::<u32>::of(&pairs().map(|(_, value)| value).collect());
            let mut canonical = CanonicalBytes::default();
            for _ in 0..2 {
                canonical.truncate(0);
                canonical.push(&metrics, 0);
                for at in 0..dimensions.len() as u32 {
                    canonical.push(&keys, at);
                    canonical.push(&values, at);
                }
                prop_assert_eq!(canonical.series_id(), SeriesId::of(&metric, pairs()).0);
            }
            for (at, (_, value)) in pairs().enumerate() {
                prop_assert_eq!(values.text(at as u32), value);
            }
        }
    }
}
