//! Tests of reading bodies.
