//! Configuration of every process: command line over environment over one YAML file over defaults.
//!
//! Each crate owns a section: a struct that derives `Serialize`, `Deserialize`, `JsonSchema` and implements `Default`, with
//! `#[serde(default, deny_unknown_fields, rename_all = "camelCase")]`. A process composes sections into one struct and loads it
//! with a [`Loader`]. Doc comments of the fields are the reference.
//!
//! Sections must not use `#[serde(flatten)]` or `#[serde(untagged)]`: serde then forgets which type a field wants, and with it
//! how to read a number that came as text from the environment.
//!
//! | module | holds |
//! |---|---|
//! | [`loader`] | [`Loader`]: layers into one typed value |
//! | [`environment`] | [`Environment`], [`EnvVariable`]: the table of variables |
//! | [`size`], [`duration`], [`secret`] | [`ByteSize`], [`HumanDuration`], [`ConfigSecret`]: values as people write them |
//! | [`auth`], [`retention`] | sections that several processes have |
//! | [`error`] | [`ConfigError`] |
//! | [`dump`] | the effective configuration as YAML or JSON, secrets redacted |
//! | [`mod@reference`] | the reference as Markdown, and `.env.example` |

pub mod auth;
mod de;
pub mod dump;
pub mod duration;
pub mod environment;
pub mod error;
mod expand;
pub mod loader;
pub mod reference;
pub mod retention;
pub mod secret;
pub mod size;
mod suggest;
mod tree;
mod yaml;

pub use auth::{AuthConfig, InvalidAuth};
pub use duration::HumanDuration;
pub use environment::{EnvVariable, Environment};
pub use error::ConfigError;
pub use loader::{Loaded, Loader};
pub use retention::{InvalidRetention, RetentionConfig, TenantRetentionConfig};
pub use secret::ConfigSecret;
pub use size::ByteSize;
