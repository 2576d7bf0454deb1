//! Tests of the whole way from layers to a typed configuration, and of its errors.
#![allow(clippy::unwrap_used)]
