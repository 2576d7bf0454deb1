//! What a command prints: data to standard output, everything else to standard error.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::failure::CommandFailure;

/// Prints data, with a line's end.
pub(crate) fn data(text: &str) -> Result<(), CommandFailure> {
    let mut out = io::stdout().lock();
    out.write_all(text.trim_end_matches('\n').as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
        .map_err(CommandFailure::Output)
}

/// Prints data for programs: one line of JSON.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<(), CommandFailure> {
    let text = serde_json::to_string(value).map_err(|error| CommandFailure::Local(error.into()))?;
    data(&text)
}

/// Tells people something beside the data.
pub(crate) fn message(text: &str) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
