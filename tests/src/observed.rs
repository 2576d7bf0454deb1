//! The error codes that servers answered while tests ran, written down in the target folder: `tests/error_codes` compares them
//! with the documentation when all other tests are done.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::client::Answer;
use crate::server::profile_folder;

/// One code a line.
struct Journal {
    file: File,
    written: BTreeSet<String>,
}

/// Where journals are, one for each test program.
fn folder() -> PathBuf {
    profile_folder().join("luminate-observed-codes")
}

fn begin() -> Mutex<Journal> {
    let test = std::env::current_exe().expect("this test's path");
    // The name without the hash that cargo puts behind it.
    let name = test.file_stem().and_then(|name| name.to_str()?.rsplit_once('-')).expect("NAME-HASH").0.to_owned();
    fs::create_dir_all(folder()).expect("a folder for journals");
    let file = File::create(folder().join(name)).expect("a journal");
    Mutex::new(Journal { file, written: BTreeSet::new() })
}

/// Writes down the codes of an answer: that of a problem, and those of items in it. Each run of a test program begins its
/// journal anew.
pub fn note(answer: &Answer) {
    static JOURNAL: OnceLock<Mutex<Journal>> = OnceLock::new();
    let codes = codes(answer);
    if codes.is_empty() {
        return;
    }
    let mut journal = JOURNAL.get_or_init(begin).lock().unwrap_or_else(PoisonError::into_inner);
    for code in codes {
        if journal.written.insert(code.clone()) {
            writeln!(journal.file, "{code}").expect("the journal is written");
        }
    }
}

/// The codes that were answered in the last run of each test program.
pub fn last() -> BTreeSet<String> {
    let journals = fs::read_dir(folder()).into_iter().flatten().map(|entry| entry.expect("a journal").path());
    let texts = journals.map(|path| fs::read_to_string(path).expect("a journal"));
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn codes(answer: &Answer) -> Vec<String> {
    let is = |wanted: &str| answer.headers.get("content-type").is_some_and(|found| found.starts_with(wanted));
    if !is("application/problem+json") && !is("application/json") {
        return Vec::new();
    }
    let json = answer.json();
    let items = ["errors", "deadLetters"].iter().filter_map(|list| json[*list].as_array()).flatten();
    let codes = std::iter::once(&json).chain(items).filter_map(|value| value["code"].as_str());
    codes.map(str::to_owned).collect()
}
