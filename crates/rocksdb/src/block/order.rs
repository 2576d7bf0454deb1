//! Sorting strings, of which most occur once and many begin alike.

/// Strings in order, each once.
#[derive(Debug)]
pub(super) struct SortedStrings<'a> {
    /// The distinct strings, ascending by their bytes.
    pub(super) distinct: Vec<&'a str>,
    /// For each string that was given its place among the distinct ones.
    pub(super) places: Vec<u32>,
}

/// Groups up to this size are sorted by comparing strings.
const SMALL_GROUP: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Item {
    /// Eight bytes of the string as a number that orders as they do.
    key: u64,
    string: u32,
    /// Whether the string equals the one before it.
    repeats: bool,
}

impl<'a> SortedStrings<'a> {
    /// Sorts strings. By eight bytes at a time that stand with the item, so that the text is read once for every eight bytes
    /// by which strings are told apart, and not at each comparison.
    pub(super) fn sort(strings: &[&'a str]) -> Self {
        let mut items: Vec<Item> =
            (0..strings.len()).map(|at| Item { key: 0, string: at as u32, repeats: false }).collect();
        sort_group(strings, &mut items, 0);
        let mut distinct: Vec<&'a str> = Vec::with_capacity(items.len());
        let mut places = vec![0_u32; items.len()];
        for item in &items {
            if !item.repeats {
                distinct.push(strings[item.string as usize]);
            }
            places[item.string as usize] = distinct.len() as u32 - 1;
        }
        Self { distinct, places }
    }
}

/// Sorts strings that have their first `depth` bytes in common, and marks those that repeat the one before.
fn sort_group(strings: &[&str], items: &mut [Item], depth: usize) {
    let bytes = |item: &Item| strings[item.string as usize].as_bytes();
    if items.len() <= SMALL_GROUP {
        return sort_by_comparing(strings, items);
    }
    let first = bytes(&items[0]);
    let shared = items.iter().fold(first.len(), |shared, item| shared_from(first, bytes(item), depth).min(shared));
    for item in &mut *items {
        item.key = prefix_key(strings[item.string as usize].as_bytes(), shared);
    }
    items.sort_unstable_by_key(|item| item.key);
    let next_depth = shared + size_of::<u64>();
    for group in items.chunk_by_mut(|a, b| a.key == b.key) {
        if group.len() == 1 {
            continue;
        }
        let length = bytes(&group[0]).len();
        if group.iter().all(|item| bytes(item).len() >= next_depth) {
            sort_group(strings, group, next_depth);
        } else if group.iter().all(|item| bytes(item).len() == length) {
            // All end within these eight bytes: they are one string.
            group.iter_mut().skip(1).for_each(|item| item.repeats = true);
        } else {
            // Some end here and others go on with zeros.
            sort_by_comparing(strings, group);
        }
    }
}

fn sort_by_comparing(strings: &[&str], items: &mut [Item]) {
    items.sort_unstable_by(|a, b| strings[a.string as usize].cmp(strings[b.string as usize]));
    for at in 1..items.len() {
        items[at].repeats = strings[items[at - 1].string as usize] == strings[items[at].string as usize];
    }
}

/// The number of bytes with which both begin, of which the first `from` are known to be the same.
fn shared_from(a: &[u8], b: &[u8], from: usize) -> usize {
    let (a, b) = (a.get(from..).unwrap_or_default(), b.get(from..).unwrap_or_default());
    from + shared_bytes(a, b)
}

/// The number of bytes with which both begin.
pub(super) fn shared_bytes(a: &[u8], b: &[u8]) -> usize {
    let (a_words, _) = a.as_chunks::<8>();
    let (b_words, _) = b.as_chunks::<8>();
    let mut shared = 0;
    for (a_word, b_word) in a_words.iter().zip(b_words) {
        let differing = u64::from_le_bytes(*a_word) ^ u64::from_le_bytes(*b_word);
        if differing != 0 {
            return shared + differing.trailing_zeros() as usize / 8;
        }
        shared += 8;
    }
    shared + a[shared..].iter().zip(&b[shared..]).take_while(|(a, b)| a == b).count()
}

/// Eight bytes of a string from `start` on as a number. A string that ends earlier is filled up with zeros.
fn prefix_key(string: &[u8], start: usize) -> u64 {
    let rest = string.get(start..).unwrap_or_default();
    match rest.first_chunk::<8>() {
        Some(eight) => u64::from_be_bytes(*eight),
        None => rest.iter().enumerate().fold(0, |key, (at, byte)| key | u64::from(*byte) << (56 - 8 * at)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
         #![proptest_config(crate::block::seeded_proptest())]

        #[test]
        fn strings_are_sorted_and_repeats_found(
            strings in prop::collection::vec("(prefix which is shared )?[ab]{0,3}(\0{0,3}|[a-c]{0,12})(tail)?", 0..200),
        ) {
            let strings: Vec<&str> = strings.iter().map(String::as_str).collect();
            let sorted = SortedStrings::sort(&strings);
            let expected: Vec<&str> = strings.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
            prop_assert_eq!(&sorted.distinct, &expected);
            for (string, place) in strings.iter().zip(&sorted.places) {
                prop_assert_eq!(*string, sorted.distinct[*place as usize]);
            }
        }
    }
}
