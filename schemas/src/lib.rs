//! luminate-schemas
