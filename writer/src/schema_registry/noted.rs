//! What registered schemas meant when a batch was judged.

use std::collections::BTreeMap;

use luminate_schemas::{PublishedSchema, UnusableSchema};

use super::{Lookup, RegisteredSchemas};

/// What the registered schemas meant by which the records of one batch were judged. An intent notes it, so that a replay judges
/// as the first run did, whatever the registry says by then, or is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotedSchemas(BTreeMap<u32, Lookup>);

/// A schema's name that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the published schema {0:?} is not known")]
pub struct UnknownSchemaName(pub String);

impl NotedSchemas {
    /// A batch is full with so many: Kafka takes 4,096 bytes beside an offset, and each of these has 32 at most.
    pub const MAX: usize = 64;

    /// The meaning of a number: what was noted, else what is known now, which is noted. `None` where the registry has to be
    /// asked.
    pub fn meaning(&mut self, id: u32, known: &RegisteredSchemas) -> Option<Lookup> {
        if let Some(noted) = self.0.get(&id) {
            return Some(noted.clone());
        }
        let lookup = known.get(id)?;
        self.0.insert(id, lookup.clone());
        Some(lookup)
    }

    /// Whether a batch that needs another one should be another batch.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MAX
    }

    /// The name of each number's schema; `None` for one by which records could not be read.
    #[must_use]
    pub fn to_names(&self) -> BTreeMap<u32, Option<String>> {
        let name = |lookup: &Lookup| lookup.as_ref().ok().map(|schema| schema.name().to_owned());
        self.0.iter().map(|(id, lookup)| (*id, name(lookup))).collect()
    }

    /// Reads what [`to_names`](Self::to_names) wrote.
    ///
    /// # Errors
    /// [`UnknownSchemaName`]: a newer writer has noted it.
    pub fn of_names(names: BTreeMap<u32, Option<String>>) -> Result<Self, UnknownSchemaName> {
        let lookup = |name: Option<String>| match name {
            None => Ok(Err(UnusableSchema::NotUsable)),
            Some(name) => PublishedSchema::of_name(&name).map(Ok).ok_or(UnknownSchemaName(name)),
        };
        names.into_iter().map(|(id, name)| Ok((id, lookup(name)?))).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_holds_and_is_read_back() {
        let nothing = RegisteredSchemas::new(None);
        let mut noted = NotedSchemas::default();
        assert_eq!(noted.meaning(7, &nothing), Some(Err(UnusableSchema::NoRegistry)));
        let mut noted = NotedSchemas::of_names(noted.to_names()).unwrap();
        assert_eq!(noted.meaning(7, &nothing), Some(Err(UnusableSchema::NotUsable)));

        let mut names: BTreeMap<_, _> = noted.to_names();
        names.insert(8, Some("SampleRows.v1".to_owned()));
        noted = NotedSchemas::of_names(names).unwrap();
        assert_eq!(
            noted.meaning(8, &nothing),
            Some(Ok(PublishedSchema::SampleRowsV1)),
            "what is known now is not asked"
        );
        let newer = BTreeMap::from([(8, Some("SampleRows.v9".to_owned()))]);
        assert_eq!(NotedSchemas::of_names(newer), Err(UnknownSchemaName("SampleRows.v9".to_owned())));
    }
}
