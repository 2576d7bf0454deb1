//! luminate-writer
