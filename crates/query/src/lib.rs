//! luminate-query
