//! How far it is, for people.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A progress bar on standard error, where that is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Over an input of `bytes`, where its size is known.
    pub(crate) fn new(bytes: Option<u64>) -> Self {
        let (bar, template) = match bytes {
            Some(bytes) => (ProgressBar::new(bytes), "{bar:30} {percent:>3} %  {msg}  {elapsed_precise}"),
            None => (ProgressBar::no_length(), "{spinner} {msg}  {elapsed_precise}"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// Notes how many bytes of the input were read, and how many samples are durable.
    pub(crate) fn update(&self, bytes_read: u64, accepted: u64) {
        self.bar.set_position(bytes_read);
        self.bar.set_message(format!("{accepted} samples"));
    }

    /// Tells something beside the bar.
    pub(crate) fn message(&self, text: &str) {
        self.bar.suspend(|| crate::output::message(text));
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
