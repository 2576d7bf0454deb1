//! Answers for people: tables, pictures, times and numbers.

pub(crate) mod number;
pub(crate) mod plot;
pub(crate) mod query_table;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod visible;
