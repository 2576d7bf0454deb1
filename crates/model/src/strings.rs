//! Many strings in two allocations.

/// An append-only table of strings, addressed by index. All strings stand in one buffer, so that a table of a million
/// dimension values costs two allocations instead of a million.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StringTable {
    text: String,
    ends: Vec<u32>,
}

impl StringTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty table with room for `strings` strings of `bytes` bytes in all.
    #[must_use]
    pub fn with_capacity(strings: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ends: Vec::with_capacity(strings) }
    }

    /// A table of strings that stand one after another in `text`, each up to its end in `ends`; `None` where an end lies
    /// inside a character, before the end of the string before or beyond the text, or where text is left.
    #[must_use]
    pub fn try_from_parts(text: String, ends: Vec<u32>) -> Option<Self> {
        let ends_fit = ends.iter().all(|end| text.is_char_boundary(*end as usize));
        let covered = ends.last().copied().unwrap_or_default() as usize == text.len();
        (ends_fit && covered && ends.is_sorted()).then_some(Self { text, ends })
    }

    /// Appends a string and returns its index.
    ///
    /// # Panics
    /// Where the table would exceed 4 GiB of text; callers bound their input far below.
    #[allow(clippy::panic)]
    #[inline]
    pub fn push(&mut self, string: &str) -> u32 {
        let index = self.ends.len() as u32;
        self.text.push_str(string);
        let Ok(end) = u32::try_from(self.text.len()) else { panic!("a string table is limited to 4 GiB") };
        self.ends.push(end);
        index
    }

    /// The string at `index`, or `None` beyond the end.
    #[must_use]
    #[inline]
    pub fn get(&self, index: u32) -> Option<&str> {
        let index = index as usize;
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? as usize };
        self.text.get(start..end)
    }

    /// How many strings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all strings together.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// The strings, in the order of their indexes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + '_ {
        let mut start = 0_usize;
        self.ends.iter().map(move |&end| {
            let string = self.text.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            string
        })
    }

    /// Forgets all strings and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Heap memory held, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<u32>()
    }
}

impl<S: AsRef<str>> FromIterator<S> for StringTable {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut table = Self::new();
        for string in strings {
            table.push(string.as_ref());
        }
        table
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_pushed() {
        let strings = ["", "a", "", "äöü", "long enough to matter"];
        let table: StringTable = strings.iter().collect();
        assert_eq!(table.iter().collect::<Vec<_>>(), strings);
        for (index, string) in strings.iter().enumerate() {
            assert_eq!(table.get(index as u32).unwrap(), *string);
        }
        assert_eq!(table.get(5), None);
        assert_eq!(StringTable::new().get(0), None);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let parts = |text: &str, ends: &[u32]| StringTable::try_from_parts(text.to_owned(), ends.to_vec());
        assert_eq!(parts("aäb", &[1, 1, 4]), Some(["a", "", "äb"].iter().collect()));
        assert_eq!(parts("", &[]), Some(StringTable::new()));
        for ends in [&[1, 2, 4][..], &[1, 3], &[1, 5], &[3, 1, 4], &[]] {
            assert_eq!(parts("aäb", ends), None, "{ends:?}");
        }
    }
}
