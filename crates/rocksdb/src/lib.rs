//! luminate-rocksdb
