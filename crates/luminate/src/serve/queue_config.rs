//! The section `queue`: which queue, and the settings of the embedded one.

use std::fmt;

use luminate_rocksdb::queue::EmbeddedQueueConfig;
use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Where records wait until they are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct QueueConfig {
    /// The queue between gateway and writer: `embedded`, in the data folder, or `kafka`, with the settings of the section
    /// `kafka` (an edge node). The other keys of this section are the embedded queue's.
    pub(crate) backend: QueueBackend,
    /// The embedded queue.
    #[serde(flatten)]
    pub(crate) embedded: EmbeddedQueueConfig,
}

/// A queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum QueueBackend {
    /// The embedded queue, in the data folder.
    #[default]
    Embedded,
    /// Kafka.
    Kafka,
}

const BACKEND: &str = "backend";

/// By hand, because serde's own flattening forgets which key an error is about.
impl<'de> Deserialize<'de> for QueueConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Section;

        impl<'de> Visitor<'de> for Section {
            type Value = QueueConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the section of the queue")
            }

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<QueueConfig, A::Error> {
                let mut backend = QueueBackend::default();
                let of_embedded = WithoutBackend { entries, backend: &mut backend };
                let embedded = EmbeddedQueueConfig::deserialize(MapAccessDeserializer::new(of_embedded))?;
                Ok(QueueConfig { backend, embedded })
            }
        }

        deserializer.deserialize_map(Section)
    }
}

/// The entries of a section without the key `backend`, whose value is put aside.
struct WithoutBackend<'a, A> {
    entries: A,
    backend: &'a mut QueueBackend,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutBackend<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.entries.next_key_seed(NotBackend(seed))? {
            None => Ok(None),
            Some(Key::Other(key)) => Ok(Some(key)),
            Some(Key::Backend(seed)) => {
                *self.backend = self.entries.next_value()?;
                self.entries.next_key_seed(seed)
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.entries.next_value_seed(seed)
    }
}

/// Reads a key, unless it is `backend`.
struct NotBackend<K>(K);

enum Key<K, V> {
    Backend(K),
    Other(V),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for NotBackend<K> {
    type Value = Key<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let key = String::deserialize(deserializer)?;
        if key == BACKEND {
            return Ok(Key::Backend(self.0));
        }
        let key: StringDeserializer<D::Error> = key.into_deserializer();
        self.0.deserialize(key).map(Key::Other)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use luminate_runtime::config::{ByteSize, Environment, Loader};

    use super::*;

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        queue: QueueConfig,
    }

    fn load(yaml: &str) -> Result<QueueConfig, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        let environment = Environment::default();
        let loaded = Loader::new(&environment, &[]).file(file.path()).load::<Config>();
        loaded.map(|loaded| loaded.config.queue).map_err(|error| error.to_string())
    }

    #[test]
    fn the_keys_of_both_stand_in_one_section() {
        let config = load("queue:\n  partitions: 7\n  backend: kafka\n  maxBytes: 2MiB\n").unwrap();
        assert_eq!(config.backend, QueueBackend::Kafka);
        assert_eq!(config.embedded.partitions, Some(7));
        assert_eq!(config.embedded.max_bytes, ByteSize::mib(2));
        assert_eq!(load("queue:\n  backend: embedded\n").unwrap(), QueueConfig::default());
    }

    #[test]
    fn mistakes_name_their_key() {
        for (yaml, named) in [
            ("queue:\n  maxBytes: much\n", "queue.maxBytes"),
            ("queue:\n  backend: rabbit\n", "queue.backend"),
            ("queue:\n  maxByte: 3\n", "queue.maxByte"),
        ] {
            let error = load(yaml).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
