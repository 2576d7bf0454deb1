//! Tests of the middleware.
