//! luminate-query-api
