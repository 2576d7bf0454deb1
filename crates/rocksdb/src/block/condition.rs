//! Conditions on dimensions, brought down to references of one block: a value is judged once, a series by its number.

use luminate_storage::{DimensionFilter, DimensionTest, StorageError};

use super::filter::{filter_hash, filter_holds};
use super::memory::ReservedMemory;
use super::open::OpenBlock;
use super::page::BlockPages;
use super::summary::BlockSummary;

/// With more values than this a filter is not asked: its pages would be read whole.
const MOST_FILTERED_VALUES: usize = 16;

/// Whether no series of the block can pass `filters`, as far as summary and filter pages tell.
pub(super) fn rules_out(
    pages: &BlockPages<'_>,
    summary: &BlockSummary,
    filters: &[DimensionFilter],
) -> Result<bool, StorageError> {
    for filter in filters {
        let Some((_, key)) = summary.key(&filter.key) else {
            if filter.test.matches("") {
                continue;
            }
            return Ok(true);
        };
        let Some(values) = filter.test.exact_values().filter(|values| values.len() <= MOST_FILTERED_VALUES) else {
            continue;
        };
        let mut possible = false;
        for value in values {
            let hash = filter_hash(value);
            possible = match key.filter_page_of(hash) {
                Some(page) => pages.read(page, |payload| Ok(filter_holds(payload, hash)))?,
                None => true,
            };
            if possible {
                break;
            }
        }
        if !possible {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A condition on the references of a key.
pub(super) struct Condition {
    /// The key, by its place in the block; `None` where the block does not have it.
    pub(super) key: Option<usize>,
    test: ReferenceTest,
}

enum ReferenceTest {
    /// There (true) or missing.
    Exists(bool),
    /// One of these, which ascend, or (`inverted`) none of these.
    Listed { references: Vec<u32>, inverted: bool },
    /// What stands at the reference's place.
    Table(Vec<bool>),
}

impl ReferenceTest {
    fn passes(&self, reference: u32) -> bool {
        match self {
            Self::Exists(wanted) => (reference != 0) == *wanted,
            Self::Listed { references, inverted } => references.binary_search(&reference).is_ok() != *inverted,
            Self::Table(table) => table.get(reference as usize).copied().unwrap_or(false),
        }
    }
}

impl Condition {
    /// Judges the values of a block.
    pub(super) fn resolve(
        block: &OpenBlock<'_>,
        filter: &DimensionFilter,
        memory: &mut ReservedMemory<'_>,
    ) -> Result<Self, StorageError> {
        let Some((key, summary)) = block.summary.key(&filter.key) else {
            return Ok(Self { key: None, test: ReferenceTest::Exists(!filter.test.matches("")) });
        };
        let listed = |values: Vec<&str>, inverted: bool| {
            let mut references = block.find_values(key, &values)?;
            if values.contains(&"") {
                references.insert(0, 0);
            }
            Ok::<_, StorageError>(ReferenceTest::Listed { references, inverted })
        };
        let test = match &filter.test {
            DimensionTest::Equal(value) => listed(vec![value], false)?,
            DimensionTest::NotEqual(value) => listed(vec![value], true)?,
            DimensionTest::In(values) => listed(values.iter().map(String::as_str).collect(), false)?,
            DimensionTest::NotIn(values) => listed(values.iter().map(String::as_str).collect(), true)?,
            DimensionTest::Exists(wanted) => ReferenceTest::Exists(*wanted),
            DimensionTest::Prefix(_) | DimensionTest::Regex(_) => {
                memory.reserve_key(Some(summary))?;
                let dictionary = block.dictionary(key)?;
                let values = dictionary.iter().map(|value| filter.test.matches(value));
                ReferenceTest::Table(std::iter::once(filter.test.matches("")).chain(values).collect())
            }
        };
        Ok(Self { key: Some(key), test })
    }

    /// Whether a series without the dimension passes.
    pub(super) fn passes_missing(&self) -> bool {
        self.test.passes(0)
    }

    /// Takes from `selected` the series whose references do not pass.
    pub(super) fn narrow(&self, references: &[u32], selected: &mut [bool]) {
        if let ReferenceTest::Listed { references: listed, inverted: false } = &self.test
            && let [only] = listed.as_slice()
        {
            selected.iter_mut().zip(references).for_each(|(selected, reference)| *selected &= reference == only);
        } else {
            let each = selected.iter_mut().zip(references);
            each.for_each(|(selected, reference)| *selected &= self.test.passes(*reference));
        }
    }

    /// Whether no reference passes.
    pub(super) fn passes_none(&self) -> bool {
        matches!(&self.test, ReferenceTest::Listed { references, inverted: false } if references.is_empty())
    }
}
