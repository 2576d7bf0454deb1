//! `luminate write`

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::Connection;
use crate::failure::CommandFailure;
use crate::sending::{Batch, Progress, Sender, SendingArgs};

/// The longest line, in bytes; servers take no larger sample either.
const MAX_LINE_BYTES: u64 = 8 * 1024 * 1024;

/// The largest JSON body that is taken, in bytes. What is larger is written as lines.
const MAX_BODY_BYTES: u64 = 256 * 1024 * 1024;

/// Write samples from a file or from standard input
#[derive(Debug, Args)]
#[command(after_help = "\
The input is JSON lines, one sample a line, or the JSON body of a write request:
  {\"name\":\"api_latency\",\"timestamp\":1735603200000,\"value\":145.5,\"dimensions\":{\"endpoint\":\"/api/users\"}}
  {\"metrics\":[{\"name\":...},...]}

Samples that are not valid are told by their line (in a body: by their number, from 1) and the others are stored; the exit
code is 5 then. Requests that the server was too busy to take are repeated, and never stored twice.

Example:
  luminate write samples.jsonl
  generate-samples | luminate write - --wait")]
pub(crate) struct WriteArgs {
    /// The file; - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,

    /// How the input is written
    #[arg(long, value_enum, default_value_t = InputFormat::Auto)]
    format: InputFormat,

    #[command(flatten)]
    sending: SendingArgs,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// Told by the first line
    Auto,
    /// One sample a line
    Lines,
    /// The JSON body of a write request
    Body,
}

/// The JSON body of a write request, its samples as they were written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    #[serde(borrow)]
    metrics: Vec<&'a RawValue>,
}

pub(crate) fn run(args: &WriteArgs) -> Result<(), CommandFailure> {
    let client = args.connection.client(args.sending.scopes())?;
    let (input, size) = open(&args.file)?;
    let mut writing = Writing {
        sender: Sender::new(client, &args.sending),
        progress: Progress::new(size),
        batch: Batch::default(),
        max_samples: args.sending.batch(),
        bytes_read: 0,
    };
    writing.run(input, args.format)?;
    let Writing { sender, progress, .. } = writing;
    progress.finish();
    sender.finish(&args.sending, 0)
}

struct Writing {
    sender: Sender,
    progress: Progress,
    batch: Batch,
    max_samples: usize,
    bytes_read: u64,
}

impl Writing {
    fn run(&mut self, mut input: Box<dyn BufRead>, format: InputFormat) -> Result<(), CommandFailure> {
        let mut first = Vec::new();
        let mut number = 1;
        // Lines of spaces before the first sample say nothing about the format.
        while read_line(&mut input, &mut first, number)? && first.trim_ascii().is_empty() {
            self.bytes_read += first.len() as u64;
            number += 1;
        }
        let as_lines = match format {
            InputFormat::Auto => !begins_a_body(&first),
            InputFormat::Lines => true,
            InputFormat::Body => false,
        };
        if as_lines {
            self.write_lines(input, first, number)?
        } else {
            self.write_body(input, first)?
        }
        self.flush()
    }

    fn write_lines(
        &mut self,
        mut input: Box<dyn BufRead>,
        mut line: Vec<u8>,
        mut number: u64,
    ) -> Result<(), CommandFailure> {
        while !line.is_empty() {
            self.bytes_read += line.len() as u64;
            let sample = line.trim_ascii();
            if !sample.is_empty() {
                self.add(sample, number)?;
            }
            number += 1;
            read_line(&mut input, &mut line, number)?;
        }
        Ok(())
    }

    fn write_body(&mut self, input: Box<dyn BufRead>, mut body: Vec<u8>) -> Result<(), CommandFailure> {
        input.take(MAX_BODY_BYTES).read_to_end(&mut body).context("cannot read the input")?;
        if body.len() as u64 > MAX_BODY_BYTES {
            return Err(
                anyhow!("the body is larger than {MAX_BODY_BYTES} bytes: write one sample a line instead").into()
            );
        }
        self.bytes_read = body.len() as u64;
        let parsed: Body<'_> = serde_json::from_slice(&body)
            .context("the input is neither one JSON sample a line nor the JSON body of a write request")?;
        for (sample, number) in parsed.metrics.iter().zip(1..) {
            // Between tokens a line's end is a space, and inside strings JSON has none.
            let mut line = sample.get().as_bytes().to_vec();
            line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
            self.add(&line, number)?;
        }
        Ok(())
    }

    fn add(&mut self, sample: &[u8], line: u64) -> Result<(), CommandFailure> {
        if self.batch.is_full(sample.len(), self.max_samples) {
            self.flush()?;
        }
        self.batch.add(sample, line);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CommandFailure> {
        self.sender.send(&self.batch, &self.progress)?;
        self.batch.clear();
        self.progress.update(self.bytes_read, self.sender.accepted());
        Ok(())
    }
}

/// A sample on one line is a whole JSON object without `metrics`; a body names `metrics`, or goes on over more lines.
fn begins_a_body(first_line: &[u8]) -> bool {
    match serde_json::from_slice::<serde_json::Value>(first_line) {
        Ok(value) => value.get("metrics").is_some(),
        Err(error) => error.is_eof() && first_line.trim_ascii_start().starts_with(b"{"),
    }
}

/// Reads a line with its end into `line`; leaves it empty at the end of the input, and answers whether it is not.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>, number: u64) -> Result<bool, CommandFailure> {
    line.clear();
    input.take(MAX_LINE_BYTES).read_until(b'\n', line).context("cannot read the input")?;
    if line.len() as u64 == MAX_LINE_BYTES {
        return Err(anyhow!("line {number} is longer than {MAX_LINE_BYTES} bytes").into());
    }
    Ok(!line.is_empty())
}

/// The input and, of a file, its size in bytes.
pub(super) fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), CommandFailure> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
    Ok((Box::new(BufReader::with_capacity(256 * 1024, file)), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells_the_format() {
        for lines in [r#"{"name":"m","timestamp":1,"value":2,"dimensions":{}}"#, "not json", ""] {
            assert!(!begins_a_body(lines.as_bytes()), "{lines}");
        }
        for body in ["{", r#"{"metrics":["#, r#"{"metrics":[]}"#] {
            assert!(begins_a_body(body.as_bytes()), "{body}");
        }
    }
}
