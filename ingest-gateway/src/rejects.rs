//! What was wrong with the samples of a write request.

use luminate_model::{Reject, RejectCode};
use luminate_runtime::http::ProblemItem;

/// How many rejects an answer names.
pub const MAX_NAMED_REJECTS: usize = 100;

/// The rejects of one write request: all of them counted, the first ones kept for the answer.
#[derive(Debug, Default)]
pub struct Rejects {
    named: Vec<(u32, Reject)>,
    counts: Vec<(RejectCode, u64)>,
}

impl Rejects {
    /// Counts the reject of the sample at `index`, and keeps it if it is one of the first.
    pub fn add(&mut self, index: u32, reject: Reject) {
        match self.counts.iter_mut().find(|(code, _)| *code == reject.code) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((reject.code, 1)),
        }
        // Mostly they come in order of their indexes; those that the queue refuses come last.
        let place = self.named.partition_point(|(known, _)| *known < index);
        if place < MAX_NAMED_REJECTS {
            self.named.insert(place, (index, reject));
            self.named.truncate(MAX_NAMED_REJECTS);
        }
    }

    /// How many samples were rejected.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// How many samples were rejected for each reason.
    #[must_use]
    pub fn counts(&self) -> &[(RejectCode, u64)] {
        &self.counts
    }

    /// Whether there are more than an answer names.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.total() > MAX_NAMED_REJECTS as u64
    }

    /// The first rejects by index, as an answer has them.
    #[must_use]
    pub fn into_items(self) -> Vec<ProblemItem> {
        let item = |(index, reject): (u32, Reject)| ProblemItem {
            index: Some(u64::from(index)),
            code: reject.code.code().into(),
            detail: reject.detail,
        };
        self.named.into_iter().map(item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(code: RejectCode) -> Reject {
        Reject::new(code, "no")
    }

    #[test]
    fn all_are_counted_and_the_first_by_index_named() {
        let mut rejects = Rejects::default();
        for index in (0..150).rev() {
            rejects.add(index, reject(if index < 3 { RejectCode::MissingName } else { RejectCode::MissingValue }));
            assert_eq!(rejects.is_truncated(), index < 50);
        }
        assert_eq!(rejects.total(), 150);
        assert_eq!(rejects.counts(), [(RejectCode::MissingValue, 147), (RejectCode::MissingName, 3)]);
        let items = rejects.into_items();
        assert_eq!(items.len(), MAX_NAMED_REJECTS);
        assert!(items.iter().enumerate().all(|(at, item)| item.index == Some(at as u64)));
        assert!(items.iter().take(3).all(|item| item.code == "missing_name"));
    }
}
