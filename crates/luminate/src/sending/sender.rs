//! Sends batches, repeats what failed, adds up the answers.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use luminate_model::Receipt;
use serde_json::json;

use super::args::SendingArgs;
use super::batch::Batch;
use super::progress::Progress;
use crate::client::answers::WriteAnswer;
use crate::client::error::ItemError;
use crate::client::{Answer, ClientError, ServerClient};
use crate::failure::CommandFailure;
use crate::output;

/// Rejected samples that are shown to people.
const SHOWN_REJECTS: u64 = 10;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Sends batches to one server, one at a time.
///
/// Every batch has an idempotency key, so that a repeat after a lost answer stores nothing twice.
pub(crate) struct Sender {
    client: ServerClient,
    retry_for: Duration,
    /// Random, so that two runs never take each other's batches for repeats.
    run: String,
    batches: u64,
    accepted: u64,
    rejected: u64,
    repeated: u64,
    receipt: Receipt,
}

impl Sender {
    /// A sender with these settings.
    pub(crate) fn new(client: ServerClient, args: &SendingArgs) -> Self {
        Self {
            client,
            retry_for: args.retry_for(),
            run: format!("cli-{:032x}", rand::random::<u128>()),
            batches: 0,
            accepted: 0,
            rejected: 0,
            repeated: 0,
            receipt: Receipt::default(),
        }
    }

    /// Samples that are durable.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Sends a batch; when this returns, its valid samples are durable. Rejected samples are told by their lines.
    ///
    /// # Errors
    /// [`ClientError`] where the server refused the request, or could not take it for as long as is repeated.
    pub(crate) fn send(&mut self, batch: &Batch, progress: &Progress) -> Result<(), ClientError> {
        if batch.is_empty() {
            return Ok(());
        }
        let key = format!("{}-{}", self.run, self.batches);
        self.batches += 1;
        let outcome = self.send_until_answered(batch, &key, progress);
        let (rejected, errors) = match outcome {
            Ok(answer) => {
                let answer: WriteAnswer = answer.read()?;
                self.accepted += answer.accepted;
                self.note_receipt(answer.receipt.as_deref());
                (answer.rejected, answer.errors)
            }
            // Not one sample of the batch was valid, and each has its error.
            Err(ClientError::Refused { status: 400, problem, .. })
                if problem.errors.iter().any(|error| error.index.is_some()) =>
            {
                (batch.samples(), problem.errors)
            }
            Err(error) => {
                self.tell_the_stop(batch, &error, progress);
                return Err(error);
            }
        };
        self.tell_rejects(batch, rejected, &errors, progress);
        Ok(())
    }

    fn send_until_answered(&mut self, batch: &Batch, key: &str, progress: &Progress) -> Result<Answer, ClientError> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let headers = [("Idempotency-Key", key)];
            let error = match self.client.post("/api/v1/write", "application/x-ndjson", batch.body(), &headers) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wanted = match &error {
                ClientError::Refused { status: 429 | 502 | 503 | 504, retry_after, .. } => retry_after.unwrap_or(pause),
                // A server that never answered is more likely a wrong address than a busy server.
                ClientError::Unreachable { .. } if self.batches > 1 => pause,
                _ => return Err(error),
            };
            let left = self.retry_for.saturating_sub(began.elapsed());
            if left < wanted {
                return Err(error);
            }
            progress.message(&format!("{error}; trying again in {:.1} s", wanted.as_secs_f64()));
            thread::sleep(wanted);
            self.repeated += 1;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn note_receipt(&mut self, receipt: Option<&str>) {
        let Some(Ok(receipt)) = receipt.map(Receipt::decode) else { return };
        for &(source, next) in receipt.places() {
            self.receipt.add(source, next);
        }
    }

    /// Says where to go on, because a second run does not know what the first has stored.
    fn tell_the_stop(&self, batch: &Batch, error: &ClientError, progress: &Progress) {
        let (Some(first), Some(last)) = (batch.line(0), batch.line(batch.samples() - 1)) else { return };
        let fate = if error.leaves_doubt() { "may be stored or not" } else { "are not stored" };
        progress.message(&format!(
            "stopped: {} samples of the lines before {first} are stored, those of lines {first} to {last} {fate}",
            self.accepted
        ));
    }

    fn tell_rejects(&mut self, batch: &Batch, rejected: u64, errors: &[ItemError], progress: &Progress) {
        let left = SHOWN_REJECTS.saturating_sub(self.rejected);
        for error in errors.iter().take(left as usize) {
            let mut text = String::from("rejected: ");
            if let Some(line) = error.index.and_then(|index| batch.line(index)) {
                // Writing to a String cannot fail.
                let _ = write!(text, "line {line}: ");
            }
            let _ = write!(text, "{} ({})", error.detail, error.code);
            progress.message(&text);
        }
        self.rejected += rejected;
    }

    /// Waits, where asked to, until everything sent can be queried, and tells what became of it. `malformed` lines of the
    /// input were not sent.
    ///
    /// # Errors
    /// [`CommandFailure::Partly`] where samples were rejected.
    pub(crate) fn finish(self, args: &SendingArgs, malformed: u64) -> Result<(), CommandFailure> {
        let receipt = self.receipt.encode().filter(|_| !self.receipt.is_empty());
        if let Some(receipt) = receipt.as_deref().filter(|_| args.wait()) {
            self.client.get("/api/v1/metrics", &[("limit", "1")], &[("X-Luminate-Receipt", receipt)])?;
        }
        if args.json {
            output::json(&json!({
                "accepted": self.accepted,
                "rejected": self.rejected,
                "malformed": malformed,
                "requests": self.batches,
                "repeated": self.repeated,
                "receipt": receipt,
            }))?;
        } else {
            let mut text = format!("samples stored: {}, in requests: {}", self.accepted, self.batches);
            let others = [("rejected", self.rejected), ("malformed lines", malformed), ("repeats", self.repeated)];
            for (what, count) in others.into_iter().filter(|(_, count)| *count > 0) {
                // Writing to a String cannot fail.
                let _ = write!(text, ", {what}: {count}");
            }
            output::message(&text);
        }
        if self.rejected > 0 {
            let all = self.accepted + self.rejected;
            return Err(CommandFailure::Partly(format!("{} of {all} samples were rejected", self.rejected)));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
