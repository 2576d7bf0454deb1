//! Tests of the routes of health and metrics.
