//! Dictionaries: the sorted distinct values of one dimension, cut into pages of which each can be read alone.
//!
//! A page holds for each value how many bytes it shares with the one before and the bytes that follow; `zstd` on top where
//! it pays. The index page of the block names for each page the shortest string that parts it from the page before, so that
//! looking up one value reads one page.

use std::cmp::Ordering;

use luminate_model::StringTable;

use super::bytes::{ByteReader, Fault, put_bytes, put_varint};
use super::index::Layout;
use super::order::shared_bytes;

/// A page is closed once it has this many values.
const PAGE_VALUES: usize = 4_096;
/// The longest value, in bytes; what the record format allows.
const LONGEST_VALUE: usize = 65_536;
/// What a page of an encoder can have at most: text before the last value, that value, and two lengths a value.
const LARGEST_PAGE: usize = Layout::STANDARD.dictionary_page_bytes + LONGEST_VALUE + 8 * PAGE_VALUES;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const ZSTD_LEVEL: i32 = 1;

/// Where the values of a dictionary stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DictionaryIndex {
    /// For each page the number of values before it.
    pub(super) starts: Vec<u32>,
    /// For each page a string that no value before it reaches and none of its values lies below.
    pub(super) separators: Vec<Box<[u8]>>,
    /// Number of values.
    pub(super) values: u32,
}

/// Compresses pages one after another.
pub(super) struct PageCompressor {
    zstd: Option<zstd::bulk::Compressor<'static>>,
    compressed: Vec<u8>,
}

impl PageCompressor {
    pub(super) fn new() -> Self {
        // Without a compressor (out of memory) pages are stored plain.
        Self { zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL).ok(), compressed: Vec::new() }
    }

    /// Appends `body`, compressed where that saves an eighth.
    fn put(&mut self, out: &mut Vec<u8>, body: &[u8]) {
        self.compressed.clear();
        self.compressed.reserve(zstd::zstd_safe::compress_bound(body.len()));
        let compressed = self.zstd.as_mut().and_then(|zstd| zstd.compress_to_buffer(body, &mut self.compressed).ok());
        if compressed.is_some_and(|bytes| bytes < body.len() - body.len() / 8) {
            out.push(ZSTD);
            put_varint(out, body.len() as u64);
            out.extend_from_slice(&self.compressed);
        } else {
            out.push(PLAIN);
            out.extend_from_slice(body);
        }
    }
}

/// Cuts values, distinct and ascending, into pages, each closed once it has `page_bytes` bytes of values.
pub(super) fn encode_dictionary(
    values: &[&str],
    page_bytes: usize,
    compressor: &mut PageCompressor,
) -> (DictionaryIndex, Vec<Vec<u8>>) {
    let mut index = DictionaryIndex { values: values.len() as u32, ..DictionaryIndex::default() };
    let mut pages = Vec::new();
    let mut draft = PageDraft::default();
    let mut previous: &[u8] = &[];
    for (at, value) in values.iter().enumerate() {
        let value = value.as_bytes();
        if draft.values == 0 {
            let separator = value.get(..=shared_bytes(previous, value)).unwrap_or(value);
            index.separators.push(if at == 0 { Box::default() } else { separator.into() });
            index.starts.push(at as u32);
            previous = &[];
        }
        draft.push(previous, value);
        previous = value;
        if draft.text_bytes >= page_bytes || draft.values == PAGE_VALUES {
            pages.push(draft.finish(compressor));
        }
    }
    if draft.values > 0 {
        pages.push(draft.finish(compressor));
    }
    (index, pages)
}

/// A page that values are appended to.
#[derive(Default)]
struct PageDraft {
    values: usize,
    text_bytes: usize,
    lengths: Vec<u8>,
    suffixes: Vec<u8>,
    body: Vec<u8>,
}

impl PageDraft {
    fn push(&mut self, previous: &[u8], value: &[u8]) {
        let shared = shared_bytes(previous, value);
        let suffix = value.get(shared..).unwrap_or_default();
        put_varint(&mut self.lengths, shared as u64);
        put_varint(&mut self.lengths, suffix.len() as u64);
        self.suffixes.extend_from_slice(suffix);
        self.values += 1;
        self.text_bytes += value.len();
    }

    fn finish(&mut self, compressor: &mut PageCompressor) -> Vec<u8> {
        self.body.clear();
        put_bytes(&mut self.body, &self.lengths);
        self.body.extend_from_slice(&self.suffixes);
        let mut page = Vec::with_capacity(self.body.len() + 16);
        compressor.put(&mut page, &self.body);
        self.values = 0;
        self.text_bytes = 0;
        self.lengths.clear();
        self.suffixes.clear();
        page
    }
}

/// Values of a dictionary, read page by page.
#[derive(Default)]
pub(super) struct DictionaryText {
    text: Vec<u8>,
    ends: Vec<u32>,
    plain: Vec<u8>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl DictionaryText {
    /// Appends the `values` values of a page.
    pub(super) fn read_page(&mut self, payload: &[u8], values: usize) -> Result<(), Fault> {
        let mut reader = ByteReader::new(payload);
        match reader.byte()? {
            PLAIN => read_values(reader.rest(), values, &mut self.text, &mut self.ends),
            ZSTD => {
                let size = reader.varint_up_to(LARGEST_PAGE as u64)? as usize;
                self.plain.clear();
                self.plain.reserve(size);
                if self.zstd.is_none() {
                    self.zstd = zstd::bulk::Decompressor::new().ok();
                }
                let zstd = self.zstd.as_mut().ok_or("there is no memory to decompress it")?;
                if zstd.decompress_to_buffer(reader.rest(), &mut self.plain).ok() != Some(size) {
                    return Err("a dictionary does not decompress");
                }
                read_values(&self.plain, values, &mut self.text, &mut self.ends)
            }
            _ => Err("a dictionary is compressed in an unknown way"),
        }
    }

    /// The values that were read.
    pub(super) fn finish(self) -> Result<StringTable, Fault> {
        let text = String::from_utf8(self.text).map_err(|_| "a dictionary is not UTF-8")?;
        StringTable::try_from_parts(text, self.ends).ok_or("a dictionary's value is not UTF-8")
    }

    /// Where `value` stands among the values read, which ascend.
    pub(super) fn find(&self, value: &[u8]) -> Option<u32> {
        let value_at = |at: usize| {
            let start = if at == 0 { 0 } else { self.ends.get(at - 1).copied().unwrap_or_default() };
            let end = self.ends.get(at).copied().unwrap_or_default();
            self.text.get(start as usize..end as usize).unwrap_or_default()
        };
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match value_at(middle).cmp(value) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some(middle as u32),
                Ordering::Greater => high = middle,
            }
        }
        None
    }
}

fn read_values(body: &[u8], values: usize, text: &mut Vec<u8>, ends: &mut Vec<u32>) -> Result<(), Fault> {
    const TOO_LONG: Fault = "a dictionary is too large";
    let mut reader = ByteReader::new(body);
    let mut lengths = ByteReader::new(reader.bytes()?);
    let mut previous = text.len();
    let page_start = text.len();
    for _ in 0..values {
        let shared = lengths.varint_up_to(LONGEST_VALUE as u64)? as usize;
        let suffix = reader.take(lengths.varint_up_to(LONGEST_VALUE as u64)? as usize)?;
        let start = text.len();
        if shared > start - previous || start - page_start > LARGEST_PAGE {
            return Err(TOO_LONG);
        }
        text.extend_from_within(previous..previous + shared);
        text.extend_from_slice(suffix);
        ends.push(u32::try_from(text.len()).map_err(|_| TOO_LONG)?);
        previous = start;
    }
    lengths.finish()?;
    reader.finish()
}

impl DictionaryIndex {
    /// Number of pages.
    pub(super) fn pages(&self) -> usize {
        self.starts.len()
    }

    /// Number of values of a page.
    pub(super) fn page_values(&self, page: usize) -> usize {
        let start = self.starts.get(page).copied().unwrap_or(self.values);
        let end = self.starts.get(page + 1).copied().unwrap_or(self.values);
        end.saturating_sub(start) as usize
    }

    /// The only page that can hold `value`; none where there are no values.
    pub(super) fn page_of(&self, value: &[u8]) -> Option<usize> {
        self.separators.partition_point(|separator| **separator <= *value).checked_sub(1)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.starts.len() as u64);
        for (page, separator) in self.separators.iter().enumerate() {
            put_varint(out, self.page_values(page) as u64);
            put_bytes(out, separator);
        }
    }

    /// Reads what [`DictionaryIndex::encode`] wrote, of a dictionary of `values` values.
    pub(super) fn decode(reader: &mut ByteReader<'_>, values: u32) -> Result<Self, Fault> {
        let pages = reader.count()?;
        let mut index = Self { values, ..Self::default() };
        let mut start = 0_u32;
        for _ in 0..pages {
            index.starts.push(start);
            let page_values = reader.varint_up_to(PAGE_VALUES as u64)? as u32;
            start = start.checked_add(page_values).ok_or("a dictionary has too many values")?;
            let separator = reader.bytes()?;
            if index.separators.last().is_some_and(|last| **last >= *separator) {
                return Err("a dictionary's pages do not ascend");
            }
            index.separators.push(separator.into());
        }
        if start == values { Ok(index) } else { Err("a dictionary has another number of values") }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn read_all(index: &DictionaryIndex, pages: &[Vec<u8>]) -> Result<StringTable, Fault> {
        let mut text = DictionaryText::default();
        for (page, payload) in pages.iter().enumerate() {
            text.read_page(payload, index.page_values(page))?;
        }
        text.finish()
    }

    fn check(values: &BTreeSet<String>, absent: &[String], page_bytes: usize) {
        let sorted: Vec<&str> = values.iter().map(String::as_str).collect();
        let (index, pages) = encode_dictionary(&sorted, page_bytes, &mut PageCompressor::new());
        let mut encoded = Vec::new();
        index.encode(&mut encoded);
        let mut reader = ByteReader::new(&encoded);
        assert_eq!(DictionaryIndex::decode(&mut reader, index.values).unwrap(), index);
        assert!(reader.rest().is_empty());
        let read = read_all(&index, &pages).unwrap();
        assert!(read.iter().eq(values.iter().map(String::as_str)));
        let find = |value: &str| {
            let page = index.page_of(value.as_bytes())?;
            let mut text = DictionaryText::default();
            text.read_page(&pages[page], index.page_values(page)).unwrap();
            text.find(value.as_bytes()).map(|at| at + index.starts[page])
        };
        for (at, value) in values.iter().enumerate() {
            assert_eq!(find(value), Some(at as u32), "{value}");
        }
        for value in absent.iter().filter(|value| !values.contains(*value)) {
            assert_eq!(find(value), None);
        }
    }

    proptest! {
         #![proptest_config(crate::block::seeded_proptest())]

        #[test]
        fn every_value_comes_back_and_is_found(
            values in prop::collection::btree_set("(a|bé|\\PC){1,12}", 0..60),
            absent in prop::collection::vec("(a|bé|\\PC){1,12}", 0..10),
        ) {
            check(&values, &absent, 50);
        }

        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), values in 0_usize..50) {
            let mut text = DictionaryText::default();
            if text.read_page(&bytes, values).is_ok()
                && let Ok(table) = text.finish()
            {
                prop_assert_eq!(table.len(), values);
            }
            let _ = DictionaryIndex::decode(&mut ByteReader::new(&bytes), values as u32);
        }
    }

    #[test]
    fn large_dictionaries_have_many_pages_and_each_value_is_on_one() {
        let values: BTreeSet<String> = (0..20_000).map(|n| format!("customer_{:06}", n * 37 % 1_000_000)).collect();
        check(
            &values,
            &["customer".to_owned(), "customer_000001x".to_owned(), "z".to_owned(), String::new()],
            Layout::STANDARD.dictionary_page_bytes,
        );
        let long: BTreeSet<String> = (0..9).map(|n| format!("{}{n}", "x".repeat(LONGEST_VALUE - 1))).collect();
        check(&long, &["x".repeat(LONGEST_VALUE)], Layout::STANDARD.dictionary_page_bytes);
    }
}
