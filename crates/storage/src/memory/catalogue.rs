//! Pages of the catalogue.

use crate::request::CatalogueRequest;
use crate::source::{CatalogueEntry, CataloguePage};

/// The page of `entries` (ascending by name, each name once) that a request asks for.
pub(super) fn page(request: &CatalogueRequest, entries: impl Iterator<Item = CatalogueEntry>) -> CataloguePage {
    let is_asked_for = |name: &str| {
        name.starts_with(&request.prefix) && request.after.as_ref().is_none_or(|after| name > after.as_str())
    };
    let mut entries: Vec<CatalogueEntry> = entries.filter(|entry| is_asked_for(&entry.name)).collect();
    let truncated = entries.len() > request.limit;
    entries.truncate(request.limit);
    CataloguePage { entries, truncated }
}
