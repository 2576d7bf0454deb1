//! luminate-tests
