//! Secrets in the configuration.

use std::borrow::Cow;

use luminate_auth::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const REDACTED: &str = "[redacted]";

/// A secret that can stand in a configuration. It is written as `[redacted]`, and `[redacted]` is refused when it is read, so
/// that a dump that is used as a file does not start a process with that word for a password.
///
/// Use it as `Option<ConfigSecret>`: no secret has a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSecret(Secret);

impl ConfigSecret {
    /// The secret.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

impl From<Secret> for ConfigSecret {
    fn from(secret: Secret) -> Self {
        Self(secret)
    }
}

impl Serialize for ConfigSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for ConfigSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The value is not repeated: an error goes to the log.
        let text =
            String::deserialize(deserializer).map_err(|_| de::Error::custom("expected a text (put it in quotes)"))?;
        if text == REDACTED {
            return Err(de::Error::custom("`[redacted]` stands for a secret in a dump; give the secret itself"));
        }
        Ok(Self(Secret::new(text)))
    }
}

impl JsonSchema for ConfigSecret {
    fn schema_name() -> Cow<'static, str> {
        "secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "secret" })
    }
}
