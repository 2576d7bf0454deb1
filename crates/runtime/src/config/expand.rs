//! `${NAME}`, `${NAME:-default}` and `${file:PATH}` in the values of the file.
//!
//! Values are expanded after parsing, so what a variable holds can never change the structure of the file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::environment::Environment;

/// The largest file that `${file:PATH}` reads, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Where expansions look.
pub(super) struct Sources<'a> {
    pub(super) environment: &'a Environment,
    /// Relative paths start here: the folder of the configuration file.
    pub(super) folder: &'a Path,
}

/// What became of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expanded {
    /// Nothing was expanded; `$${` became `${`.
    AsWritten(String),
    /// Something was: the text may stand for a number as well.
    Expanded(String),
}

/// Expands one value.
///
/// # Errors
/// A sentence that names what is missing.
pub(super) fn expand(text: &str, sources: &Sources<'_>) -> Result<Expanded, String> {
    let mut result = String::with_capacity(text.len());
    let mut expanded = false;
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from_dollar) = rest.split_at(at);
        let after = &from_dollar[2..];
        if let Some(kept) = before.strip_suffix('$') {
            result.push_str(kept);
            result.push_str("${");
            rest = after;
            continue;
        }
        let Some(end) = after.find('}') else {
            return Err("`${` is not closed by `}` (write `$${` for the characters themselves)".to_owned());
        };
        result.push_str(before);
        result.push_str(&resolve(&after[..end], sources)?);
        expanded = true;
        rest = &after[end + 1..];
    }
    result.push_str(rest);
    Ok(if expanded { Expanded::Expanded(result) } else { Expanded::AsWritten(result) })
}

fn resolve(reference: &str, sources: &Sources<'_>) -> Result<String, String> {
    if let Some(path) = reference.strip_prefix("file:") {
        return read_file(&sources.folder.join(path));
    }
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_name(name) {
        return Err(format!("`${{{reference}}}` is not `${{NAME}}`, `${{NAME:-default}}` or `${{file:PATH}}`"));
    }
    match default {
        Some(default) => Ok(sources.environment.get(name).unwrap_or(default).to_owned()),
        None => match sources.environment.get_raw(name) {
            Some(value) => Ok(value.to_owned()),
            None => Err(format!("the environment variable `{name}` is not set")),
        },
    }
}

fn is_name(name: &str) -> bool {
    let begins_well = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    begins_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The content of a small text file without its last line break, as files of secrets are made.
fn read_file(path: &Path) -> Result<String, String> {
    let failed = |reason: String| format!("the file {} cannot be used: {reason}", path.display());
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(failed(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    let without_break = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(without_break.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expand_in(text: &str, folder: &Path) -> Result<Expanded, String> {
        let environment = [("PORT", "8080"), ("EMPTY", ""), ("TRICK", "${PORT}")].into_iter().collect();
        expand(text, &Sources { environment: &environment, folder })
    }

    fn expanded(text: &str) -> String {
        match expand_in(text, Path::new("/nowhere")).unwrap() {
            Expanded::Expanded(text) => text,
            Expanded::AsWritten(text) => unreachable!("nothing expanded in {text}"),
        }
    }

    #[test]
    fn variables_defaults_and_several_at_once() {
        assert_eq!(expanded("${PORT}"), "8080");
        assert_eq!(expanded("0.0.0.0:${PORT}/${ABSENT:-x}"), "0.0.0.0:8080/x");
        assert_eq!(expanded("${ABSENT:-}"), "");
        assert_eq!(expanded("${EMPTY}"), "");
        assert_eq!(expanded("${EMPTY:-full}"), "full");
    }

    #[test]
    fn what_a_variable_holds_is_not_expanded_again() {
        assert_eq!(expanded("${TRICK}"), "${PORT}");
    }

    #[test]
    fn two_dollars_stand_for_the_characters() {
        let written = |text: &str| expand_in(text, Path::new("/")).unwrap();
        assert_eq!(written("$${PORT}"), Expanded::AsWritten("${PORT}".to_owned()));
        assert_eq!(written("cost: 5$"), Expanded::AsWritten("cost: 5$".to_owned()));
        assert_eq!(written("$$$"), Expanded::AsWritten("$$$".to_owned()));
        assert_eq!(expanded("$${PORT} ${PORT}"), "${PORT} 8080");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |text: &str| expand_in(text, Path::new("/nowhere")).unwrap_err();
        assert_eq!(error("${ABSENT}"), "the environment variable `ABSENT` is not set");
        assert!(error("a ${PORT").contains("not closed"));
        assert!(error("${}").contains("`${}` is not"));
        assert!(error("${9A}").contains("`${9A}` is not"));
        assert!(error("${file:token}").contains("/nowhere/token"));
    }

    #[test]
    fn a_file_loses_its_last_line_break_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "  two\nlines \n").unwrap();
        let result = expand_in("${file:secret}!", folder.path());
        assert_eq!(result, Ok(Expanded::Expanded("  two\nlines !".to_owned())));
        std::fs::write(folder.path().join("big"), vec![b'x'; 65_537]).unwrap();
        assert!(expand_in("${file:big}", folder.path()).unwrap_err().contains("larger"));
    }

    proptest! {
        #![proptest_config(crate::seeded_proptest())]

        #[test]
        fn any_text_is_expanded_or_refused(text in "[${}:a-zA-Z_-]{0,24}") {
            let _ = expand_in(&text, Path::new("/nowhere"));
        }

        #[test]
        fn text_without_references_stays(text in "[^$]{0,40}") {
            prop_assert_eq!(expand_in(&text, Path::new("/")), Ok(Expanded::AsWritten(text)));
        }
    }
}
