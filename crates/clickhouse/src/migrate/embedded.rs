//! The migrations that this program brings.

use xxhash_rust::xxh3::xxh3_128;

/// A numbered change of the tables. Once published, its text never changes: what follows gets a number of its own. Its
/// statements may be executed again from the first one on, because a migration that failed in the middle is.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its number; they are applied in the order of their numbers, which have no gaps.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// Its text, as [`Form::render`](super::Form::render) takes it.
    pub text: &'static str,
}

impl Migration {
    /// What tells whether the text has changed, the same for every form.
    #[must_use]
    pub fn checksum(&self) -> String {
        format!("{:032x}", xxh3_128(self.text.as_bytes()))
    }
}

/// All of them, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "samples", text: include_str!("../../../../schemas/clickhouse/0001_samples.sql") },
    Migration {
        number: 2,
        name: "incarnations",
        text: include_str!("../../../../schemas/clickhouse/0002_incarnations.sql"),
    },
    Migration {
        number: 3,
        name: "strings_of_maps",
        text: include_str!("../../../../schemas/clickhouse/0003_strings_of_maps.sql"),
    },
    Migration {
        number: 4,
        name: "codec_of_dimensions",
        text: include_str!("../../../../schemas/clickhouse/0004_codec_of_dimensions.sql"),
    },
];
