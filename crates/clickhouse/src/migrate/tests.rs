//! Migrations as they are rendered, and against the real engine.
