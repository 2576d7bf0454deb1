//! What every error of the API must be like.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use crate::client::Answer;
use crate::server::SECRET;

/// What no client may read: places in our code and on our disks, names of our types and libraries, secrets.
const INTERNAL: &[&str] =
    &["::", ".rs", "src/", "/tmp", "/work", "/root", "/home", "panicked", "rocksdb", "tokio", "hyper", SECRET];

/// The statuses under which each documented code may come, from the tables of `docs/errors.md`, whose rows begin with a
/// code and its status. Codes of single samples have no status of their own.
pub fn documented() -> &'static BTreeMap<String, Vec<u16>> {
    static DOCUMENTED: OnceLock<BTreeMap<String, Vec<u16>>> = OnceLock::new();
    DOCUMENTED.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
        let page = std::fs::read_to_string(&path).expect("docs/errors.md");
        let mut codes: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        for line in page.lines().filter(|line| line.starts_with('|')) {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let Some(code) = cells.next().and_then(|cell| cell.split('`').nth(1)) else { continue };
            let statuses =
                cells.next().unwrap_or_default().split([',', ' ']).filter_map(|word| word.parse::<u16>().ok());
            codes.entry(code.to_owned()).or_default().extend(statuses);
        }
        codes
    })
}

impl Answer {
    /// Asserts that this is a problem of this status and code, well-formed, documented, and without anything internal.
    #[track_caller]
    pub fn assert_problem(&self, case: &str, status: u16, code: &str) {
        let text = String::from_utf8_lossy(&self.bytes);
        assert_eq!((self.status, self.code().as_str()), (status, code), "{case}: {text}");
        self.assert_sound_problem(case);
    }

    /// Asserts that this is some problem, well-formed, documented, and without anything internal.
    #[track_caller]
    pub fn assert_sound_problem(&self, case: &str) {
        let text = String::from_utf8_lossy(&self.bytes);
        assert_eq!(
            self.headers.get("content-type").map(String::as_str),
            Some("application/problem+json"),
            "{case}: {text}"
        );
        let json = self.json();
        assert_eq!(json["status"], self.status, "{case}: {text}");
        for member in ["type", "title", "detail", "instance", "code"] {
            assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{case}: no {member} in {text}");
        }
        let code = self.code();
        let statuses = documented().get(&code);
        assert!(
            statuses.is_some_and(|all| all.contains(&self.status)),
            "{case}: {} `{code}` is not documented",
            self.status
        );
        assert!(json["type"].as_str().is_some_and(|uri| uri.ends_with(&format!("#{code}"))), "{case}: {text}");
        for item in json["errors"].as_array().into_iter().flatten() {
            let code = item["code"].as_str().unwrap_or_default();
            assert!(documented().contains_key(code), "{case}: the code of {item} is not documented");
        }
        if matches!(self.status, 429 | 503) {
            let after = self.headers.get("retry-after").and_then(|text| text.parse::<u32>().ok());
            assert!(after.is_some_and(|seconds| seconds >= 1), "{case}: {} without Retry-After", self.status);
        }
        if self.status == 401 {
            let challenge = self.headers.get("www-authenticate").map_or("", String::as_str);
            assert!(challenge.starts_with("Bearer"), "{case}: 401 without a challenge");
        }
        self.assert_nothing_internal(case);
    }

    /// Asserts that the body shows nothing of how the server is made.
    #[track_caller]
    pub fn assert_nothing_internal(&self, case: &str) {
        let text = String::from_utf8_lossy(&self.bytes);
        let lower = text.to_lowercase();
        let leak = INTERNAL.iter().find(|internal| lower.contains(&internal.to_lowercase()));
        assert!(leak.is_none(), "{case}: the answer shows {leak:?}: {text}");
    }
}
