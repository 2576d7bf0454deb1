//! The `luminate-query` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    luminate_runtime::process::run::<luminate_query_api::wiring::QueryService>()
}
