//! Series ids are those of the published vectors, which another implementation computed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use luminate_model::SeriesId;
use luminate_model::series::write_canonical_bytes;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Vector {
    description: String,
    metric: String,
    dimensions: BTreeMap<String, String>,
    canonical_bytes: Option<String>,
    id: String,
}

#[test]
fn ids_are_those_of_the_vectors() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../vectors/series_id.json")).unwrap();
    assert!(vectors.len() >= 8);
    assert!(vectors.iter().any(|vector| vector.canonical_bytes.is_some()));
    for vector in vectors {
        let dimensions = || vector.dimensions.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut bytes = Vec::new();
        write_canonical_bytes(&mut bytes, &vector.metric, dimensions());
        if let Some(expected) = vector.canonical_bytes {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected, "{}", vector.description);
        }
        assert_eq!(SeriesId::of(&vector.metric, dimensions()).to_string(), vector.id, "{}", vector.description);
    }
}
