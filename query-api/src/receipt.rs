//! Wait for a receipt: until the store shows what the client has written.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use luminate_model::Receipt;
use luminate_runtime::config::HumanDuration;
use luminate_runtime::http::Problem;
use luminate_storage::SampleSource;

use crate::config::QueryConfig;
use crate::problems;

/// Carries the receipt of a write request: the answer is given once everything of it is stored.
pub const RECEIPT: HeaderName = HeaderName::from_static("x-luminate-receipt");

/// Carries how long to wait for the receipt, as a duration such as `2s`.
pub const RECEIPT_TIMEOUT: HeaderName = HeaderName::from_static("x-luminate-receipt-timeout");

/// Waits for the receipts of a request, where it has any.
///
/// # Errors
/// [`Problem`] `receipt_invalid` (400), `receipt_gone` (410), `storage_unavailable` (503), `receipt_timeout` (504).
pub(crate) async fn await_receipts(
    headers: &HeaderMap,
    source: &dyn SampleSource,
    config: &QueryConfig,
) -> Result<(), Problem> {
    let patience = patience(headers, config)?;
    let mut wanted = Receipt::default();
    for header in headers.get_all(RECEIPT) {
        let text = header.to_str().map_err(|_| invalid("the receipt is not ASCII".to_owned()))?;
        let receipt = Receipt::decode(text).map_err(|error| problems::of_receipt_error(&error))?;
        receipt.places().iter().for_each(|(source, next)| wanted.add(*source, *next));
    }
    if wanted.is_empty() {
        return Ok(());
    }
    match tokio::time::timeout(patience, source.reach(&wanted)).await {
        Ok(reached) => reached.map_err(|error| problems::of_reach_error(&error)),
        Err(_) => {
            let detail = format!("the samples of the receipt were not stored within {} s", patience.as_secs_f64());
            Err(Problem::new(&problems::RECEIPT_TIMEOUT).detail(detail))
        }
    }
}

fn patience(headers: &HeaderMap, config: &QueryConfig) -> Result<Duration, Problem> {
    let Some(header) = headers.get(RECEIPT_TIMEOUT) else { return Ok(config.receipt_timeout.get()) };
    let wanted = header.to_str().ok().and_then(|text| text.parse::<HumanDuration>().ok());
    match wanted {
        Some(wanted) if wanted <= config.max_receipt_timeout => Ok(wanted.get()),
        Some(wanted) => Err(invalid(format!(
            "the time to wait for a receipt is {wanted}, the limit is {}",
            config.max_receipt_timeout
        ))),
        None => Err(invalid("the time to wait for a receipt is a duration such as `2s`".to_owned())),
    }
}

fn invalid(detail: String) -> Problem {
    Problem::new(&problems::RECEIPT_INVALID).detail(detail)
}
