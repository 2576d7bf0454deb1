//! What a process took of the machine, as Linux accounts for it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;

/// Clock ticks a second in `/proc`; fixed at 100 for user space on Linux.
const TICKS_A_SECOND: f64 = 100.0;

/// A process whose account is read; its own threads count, its children do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pid: u32,
}

impl Usage {
    /// Of the process with this id.
    #[must_use]
    pub const fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// Processor time used so far, in seconds.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn cpu_seconds(self) -> anyhow::Result<f64> {
        let stat = self.read("stat")?;
        // The name in parentheses may hold spaces; utime and stime are fields 14 and 15, 12 and 13 after it.
        let after_name = stat.rsplit_once(')').context("/proc/PID/stat")?.1;
        let ticks = |field: usize| after_name.split_whitespace().nth(field).and_then(|text| text.parse::<f64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("/proc/PID/stat")?;
        Ok((user + system) / TICKS_A_SECOND)
    }

    /// The most memory held so far, in bytes.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn peak_memory_bytes(self) -> anyhow::Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    fn read(self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.pid);
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }
}

/// Bytes that a folder takes on disk, as `du` counts them.
///
/// # Errors
/// Where it cannot be read.
pub fn disk_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        // A server may remove a file while we look.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_process_that_works_is_accounted_for() {
        let own = Usage::of(std::process::id());
        let (before, began) = (own.cpu_seconds().unwrap(), Instant::now());
        while own.cpu_seconds().unwrap() <= before {
            assert!(began.elapsed().as_secs() < 60, "a minute of work is not seen");
        }
        assert!(own.peak_memory_bytes().unwrap() > 100_000);
        // No process has this number.
        assert!(Usage::of(u32::MAX).cpu_seconds().is_err());
    }
}
