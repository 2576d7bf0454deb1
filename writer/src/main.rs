//! The `luminate-writer` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    luminate_runtime::process::run::<luminate_writer::wiring::WriterService>()
}
