//! luminate-storage
