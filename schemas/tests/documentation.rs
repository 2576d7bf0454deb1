//! What `docs/direct-producers.md` says of records is so.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use luminate_schemas::PublishedSchema;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The only block of this language.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n```{language}\n")).unwrap();
    rest.split_once("```\n").map_or(rest, |(block, _)| block)
}

#[test]
fn the_producers_that_it_shows_are_the_files() {
    let page = read("docs/direct-producers.md");
    for (language, file) in [("python", "producer.py"), ("java", "SampleProducer.java"), ("rust", "producer.rs")] {
        assert_eq!(block(&page, language), read(&format!("tests/direct_producers/{file}")), "{file}");
    }
}

#[test]
fn it_names_every_published_schema_with_its_fingerprint() {
    let page = read("docs/direct-producers.md");
    for schema in PublishedSchema::ALL {
        let name = schema.name();
        let row = format!("| [`{name}`](../schemas/avro/{name}.avsc) | `{:016x}` |", schema.fingerprint());
        assert!(page.contains(&row), "{row}");
    }
}
