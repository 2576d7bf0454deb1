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
    ("luminate-query", &["luminate-model", "luminate-storage"]),
    ("luminate-runtime", &["luminate-model", "luminate-auth"]),
    (
        "luminate-rocksdb",
        &["luminate-model", "luminate-runtime", "luminate-queue", "luminate-storage", "luminate-schemas"],
    ),
    ("luminate-clickhouse", &["luminate-model", "luminate-runtime", "luminate-storage"]),
    ("luminate-kafka", &["luminate-model", "luminate-runtime", "luminate-queue", "luminate-storage"]),
    (
        "luminate-ingest-gateway",
        &["luminate-model", "luminate-auth", "luminate-runtime", "luminate-queue", "luminate-schemas"],
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
        ],
    ),
    (
        "luminate-query-api",
        &["luminate-model", "luminate-auth", "luminate-runtime", "luminate-storage", "luminate-query"],
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
            "luminate-ingest-gateway",
            "luminate-writer",
            "luminate-query-api",
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
