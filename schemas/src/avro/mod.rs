//! The few pieces of Avro's binary encoding that records need.

mod reader;
mod writer;

pub(crate) use reader::Reader;
pub(crate) use writer::{write_array, write_block_end, write_block_start, write_long, write_string};
