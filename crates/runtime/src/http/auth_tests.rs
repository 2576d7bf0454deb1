//! Tests of tokens in requests.
