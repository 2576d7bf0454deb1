//! luminate-rocksdb

pub mod block;
