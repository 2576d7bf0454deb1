//! luminate-runtime
