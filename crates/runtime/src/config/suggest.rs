//! What was probably meant.

/// The candidate that is nearest to what was written, if two slips of the finger at most lie between them.
pub(super) fn mistyped<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(written, candidates).filter(|candidate| distance(written, candidate) <= 2)
}

/// The candidate that is nearest to what was written, if one is near: a third of its letters may differ.
pub(super) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(&written.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out, replaced or swapped with the next to turn one text into the other (optimal
/// string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut this = Vec::with_capacity(to.len() + 1);
        this.push(row + 1);
        for (column, b) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(a != b);
            let mut best = replaced.min(last[column + 1] + 1).min(this[column] + 1);
            let swapped = row > 0 && column > 0 && from[row - 1] == *b && to[column - 1] == *a;
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            this.push(best);
        }
        before_last = std::mem::replace(&mut last, this);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (from, to, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("listen", "lisetn", 1),
            ("a", "b", 1),
        ] {
            assert_eq!(distance(from, to), edits, "{from} {to}");
            assert_eq!(distance(to, from), edits, "{to} {from}");
        }
    }

    #[test]
    fn a_near_candidate_is_suggested_and_a_far_one_is_not() {
        let keys = ["listen", "maxConnections", "log"];
        assert_eq!(nearest("lisetn", keys), Some("listen"));
        assert_eq!(nearest("max_connections", keys), Some("maxConnections"));
        assert_eq!(nearest("LOG", keys), Some("log"));
        assert_eq!(nearest("storage", keys), None);
        let variables = ["LUMINATE_LOG", "LUMINATE_LISTEN"];
        assert_eq!(mistyped("LUMINATE_LISTNE", variables), Some("LUMINATE_LISTEN"));
        assert_eq!((mistyped("LUMINATE_URL", variables), mistyped("LUMINATE_TOKEN", variables)), (None, None));
    }
}
