//! Tests of rate limits.
