//! The rules that the workspace keeps: which crate may depend on which, and who may name a vendor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// For each of our packages the ones of ours that it may depend on (dev-dependencies aside). Dependencies point one way:
/// model, then contracts, then mechanisms, then services, then the binary. Services never import each other.
const ALLOWED: &[(&str, &[&str])] = &[
    ("luminate-model", &[]),
    ("luminate-auth", &["luminate-model"]),
    ("luminate-queue", &["luminate-model"]),
    ("luminate-storage", &["luminate-model"]),
    ("luminate-schemas", &["luminate-model"]),
    ("luminate-bench", &[]),
    ("luminate-query", &["luminate-model", "luminate-storage"]),
    ("luminate-runtime", &["luminate-model", "luminate-auth", "luminate-schemas"]),
    (
        "luminate-rocksdb",
        &["luminate-model", "luminate-runtime", "luminate-queue", "luminate-storage", "luminate-schemas"],
    ),
    ("luminate-clickhouse", &["luminate-model", "luminate-runtime", "luminate-storage"]),
    ("luminate-kafka", &["luminate-model", "luminate-runtime", "luminate-queue", "luminate-storage"]),
    (
        "luminate-ingest-gateway",
        &[
            "luminate-model",
            "luminate-auth",
            "luminate-runtime",
            "luminate-queue",
            "luminate-schemas",
            "luminate-kafka",
        ],
    ),
    (
        "luminate-writer",
        &[
            "luminate-model",
            "luminate-auth",
            "luminate-runtime",
            "luminate-queue",
            "luminate-storage",
            "luminate-schemas",
            "luminate-clickhouse",
            "luminate-kafka",
        ],
    ),
    (
        "luminate-query-api",
        &[
            "luminate-model",
            "luminate-auth",
            "luminate-runtime",
            "luminate-storage",
            "luminate-query",
            "luminate-clickhouse",
            "luminate-kafka",
        ],
    ),
    (
        "luminate",
        &[
            "luminate-model",
            "luminate-auth",
            "luminate-runtime",
            "luminate-queue",
            "luminate-storage",
            "luminate-query",
            "luminate-schemas",
            "luminate-rocksdb",
            "luminate-clickhouse",
            "luminate-kafka",
            "luminate-ingest-gateway",
            "luminate-writer",
            "luminate-query-api",
            "luminate-bench",
        ],
    ),
    ("luminate-tests", &[]),
];

/// Which of our packages may depend on a vendor's library.
const VENDORS: &[(&str, &str)] =
    &[("rocksdb", "luminate-rocksdb"), ("rdkafka", "luminate-kafka"), ("clickhouse", "luminate-clickhouse")];

/// Package, then its dependencies that are no dev-dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(manifest)
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let of = |package: &serde_json::Value| {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let kept = dependencies.filter(|dependency| dependency["kind"] != "dev");
        kept.map(|dependency| dependency["name"].as_str().expect("name").to_owned()).collect()
    };
    packages.iter().map(|package| (package["name"].as_str().expect("name").to_owned(), of(package))).collect()
}

/// The Rust files under a folder.
fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of sources").map(|entry| entry.expect("an entry").path());
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// A service is composed with its vendors in one place, and knows them by traits everywhere else.
#[test]
fn services_name_vendors_in_their_wiring_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let vendors: Vec<String> = VENDORS.iter().map(|(_, package)| package.replace('-', "_")).collect();
    let mut wirings = 0;
    let mut faults = Vec::new();
    for service in ["ingest-gateway", "writer", "query-api"] {
        for file in sources(&root.join(service).join("src")) {
            let text = std::fs::read_to_string(&file).expect("a source file");
            let names_one = vendors.iter().any(|vendor| text.contains(vendor.as_str()));
            if file.ends_with("wiring.rs") {
                wirings += usize::from(names_one);
            } else if names_one {
                faults.push(file.display().to_string());
            }
        }
    }
    assert_eq!(wirings, 3, "each service has its wiring");
    assert!(faults.is_empty(), "vendors are named in {}", faults.join(", "));
}

#[test]
fn packages_depend_only_on_what_the_table_allows() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let found = dependencies();
    let known: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    let mut faults = Vec::new();
    for (package, dependencies) in &found {
        let Some(allowed) = allowed.get(package.as_str()) else {
            faults.push(format!("{package} does not stand in the table"));
            continue;
        };
        for dependency in dependencies.iter().filter(|dependency| known.contains(dependency.as_str())) {
            if !allowed.contains(&dependency.as_str()) {
                faults.push(format!("{package} may not depend on {dependency}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_one_crate_names_each_vendor() {
    for (package, dependencies) in dependencies() {
        for (vendor, owner) in VENDORS {
            assert!(!dependencies.contains(*vendor) || package == *owner, "{package} may not depend on {vendor}");
        }
    }
}
