//! The command line against a running server: what is printed where, what scripts are told, and that the answers on real
//! data are right.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access_log;
mod admin;
mod configuration;
mod exit_codes;
mod server;
mod stopping;
mod writing;
