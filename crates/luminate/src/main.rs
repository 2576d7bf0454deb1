//! The `luminate` binary: the single-node server and the command line.

use std::process::ExitCode;

mod access_log;
mod bench;
mod cli;
mod client;
mod cluster;
mod commands;
mod data_dir;
mod failure;
mod output;
mod render;
mod sending;
mod serve;
mod services;

fn main() -> ExitCode {
    cli::run()
}
