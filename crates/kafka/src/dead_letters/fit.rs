//! Letters cut to what the topic takes, so that no record can hold up its partition by being too large to be put aside.

use luminate_queue::DeadLetter;

/// The most bytes of a record's key and headers that are kept with it.
const MAX_BESIDE: usize = 256 << 10;
/// The most bytes of the sentence for people.
const MAX_DETAIL: usize = 16 << 10;

/// Cuts a letter's bytes to `limit`, and leaves key and headers out where they are too large. What was cut cannot be replayed: the
/// full size counts all that is missing.
pub(super) fn fit(mut letter: DeadLetter, limit: usize) -> DeadLetter {
    letter.bytes.truncate(limit);
    let headers: usize = letter.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if letter.key.len() + headers > MAX_BESIDE {
        letter.full_size += (letter.key.len() + headers) as u64;
        letter.key.clear();
        letter.headers.clear();
    }
    if letter.detail.len() > MAX_DETAIL {
        letter.detail.truncate(letter.detail.floor_char_boundary(MAX_DETAIL));
    }
    letter
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use luminate_model::{Incarnation, Offset, Source};
    use luminate_queue::DeadLetterId;

    use super::*;

    fn letter(value: usize, header: usize) -> DeadLetter {
        let source = Source { incarnation: Incarnation([1; 16]), partition: 0 };
        DeadLetter {
            id: DeadLetterId { source, offset: Offset(0), index: None },
            code: "record_malformed".to_owned(),
            detail: "é".repeat(MAX_DETAIL),
            tenant: None,
            append_time: 0,
            key: Bytes::from_static(b"a/0"),
            headers: vec![("h".to_owned(), Bytes::from(vec![0; header]))],
            bytes: Bytes::from(vec![0; value]),
            full_size: value as u64,
            replayed_at: None,
        }
    }

    #[test]
    fn what_fits_is_left_alone() {
        let fitted = fit(letter(100, 100), 100);
        assert_eq!((fitted.bytes.len(), fitted.headers.len(), fitted.is_cut()), (100, 1, false));
        assert!(fitted.detail.len() <= MAX_DETAIL);
    }

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        let fitted = fit(letter(101, 100), 100);
        assert_eq!((fitted.bytes.len(), fitted.full_size, fitted.is_cut()), (100, 101, true));
        let fitted = fit(letter(0, MAX_BESIDE), 100);
        assert!(fitted.headers.is_empty() && fitted.key.is_empty() && fitted.is_cut());
    }
}
