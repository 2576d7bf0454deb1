//! `luminate import`

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use flate2::bufread::MultiGzDecoder;

use super::write::open;
use crate::access_log;
use crate::client::Connection;
use crate::failure::CommandFailure;
use crate::sending::{Batch, Progress, Sender, SendingArgs};

/// The longest line that is read; the rest of a longer one is cut off, and it is malformed then.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// Malformed lines that are shown to people.
const SHOWN_MALFORMED: u64 = 10;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Import a file of another kind as samples
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    kind: ImportKind,
}

#[derive(Debug, Subcommand)]
enum ImportKind {
    AccessLog(AccessLogArgs),
}

/// Import a web server's access log (Apache's combined format)
#[derive(Debug, Args)]
#[command(after_help = "\
Each request becomes a sample of the metric http_response_bytes: the bytes of the response at the time of the request, with
the dimensions client, method, path (without its query), status and agent. A line that cannot be read is told and counted;
the others are imported.

Example:
  luminate import access-log /var/log/apache2/access.log.1.gz
  luminate query --metric http_response_bytes --aggregation sum --group-by status --last 30d")]
struct AccessLogArgs {
    /// The log, compressed by gzip or not; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    sending: SendingArgs,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(args: &ImportArgs) -> Result<(), CommandFailure> {
    match &args.kind {
        ImportKind::AccessLog(args) => import_access_log(args),
    }
}

fn import_access_log(args: &AccessLogArgs) -> Result<(), CommandFailure> {
    let client = args.connection.client(args.sending.scopes())?;
    let Input { mut lines, size, bytes_read } = open_maybe_compressed(&args.file)?;
    let progress = Progress::new(size);
    let mut sender = Sender::new(client, &args.sending);
    let mut batch = Batch::default();
    let (mut requests, mut malformed) = (0_u64, 0);
    let mut line = Vec::new();
    for number in 1.. {
        if !read_line(&mut lines, &mut line).with_context(|| format!("cannot read {}", args.file.display()))? {
            break;
        }
        let text = String::from_utf8_lossy(line.trim_ascii());
        if text.is_empty() {
            continue;
        }
        let sample = match access_log::parse(&text) {
            Ok(sample) => serde_json::to_vec(&sample).context("cannot write a sample as JSON")?,
            Err(fault) => {
                if malformed < SHOWN_MALFORMED {
                    progress.message(&format!("line {number} is malformed and left out: {fault}"));
                }
                malformed += 1;
                continue;
            }
        };
        if batch.is_full(sample.len(), args.sending.batch()) {
            sender.send(&batch, &progress)?;
            batch.clear();
            progress.update(bytes_read.load(Ordering::Relaxed), sender.accepted());
        }
        batch.add(&sample, number);
        requests += 1;
    }
    if requests == 0 && malformed > 0 {
        progress.finish();
        return Err(anyhow!("{} is no access log: none of its lines is one of a request", args.file.display()).into());
    }
    sender.send(&batch, &progress)?;
    progress.finish();
    sender.finish(&args.sending, malformed)
}

struct Input {
    lines: Box<dyn BufRead>,
    /// Of the file, in bytes, where known.
    size: Option<u64>,
    /// How many bytes of the file were read.
    bytes_read: Arc<AtomicU64>,
}

fn open_maybe_compressed(path: &Path) -> Result<Input, CommandFailure> {
    let (input, size) = open(path)?;
    let bytes_read = Arc::new(AtomicU64::new(0));
    let mut input = BufReader::with_capacity(64 * 1024, Counted { input, bytes: Arc::clone(&bytes_read) });
    let start = input.fill_buf().with_context(|| format!("cannot read {}", path.display()))?;
    let lines: Box<dyn BufRead> = if start.starts_with(&GZIP_MAGIC) {
        Box::new(BufReader::with_capacity(256 * 1024, MultiGzDecoder::new(input)))
    } else {
        Box::new(input)
    };
    Ok(Input { lines, size, bytes_read })
}

/// Reads a line, at most [`MAX_LINE_BYTES`] of it; answers whether there was one.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    input.take(MAX_LINE_BYTES).read_until(b'\n', line)?;
    let is_cut = line.len() as u64 == MAX_LINE_BYTES && line.last() != Some(&b'\n');
    if is_cut {
        input.skip_until(b'\n')?;
    }
    Ok(!line.is_empty())
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_and_the_next_one_is_whole() {
        let mut text = vec![b'x'; 3 * MAX_LINE_BYTES as usize];
        text.extend_from_slice(b"\nshort");
        let mut input: &[u8] = &text;
        let mut line = Vec::new();
        assert!(read_line(&mut input, &mut line).unwrap());
        assert_eq!(line.len(), MAX_LINE_BYTES as usize);
        assert!(read_line(&mut input, &mut line).unwrap());
        assert_eq!(line, b"short");
        assert!(!read_line(&mut input, &mut line).unwrap());
    }
}
