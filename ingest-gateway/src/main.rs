//! The `luminate-gateway` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    luminate_runtime::process::run::<luminate_ingest_gateway::wiring::GatewayService>()
}
