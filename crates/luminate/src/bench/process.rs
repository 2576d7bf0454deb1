//! A measured server process: its processor time, memory and disk, as Linux accounts for them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Clock ticks a second in `/proc`; fixed at 100 for user space on Linux.
const TICKS_A_SECOND: f64 = 100.0;

/// How long a process must hardly work to count as quiet: longer than the store waits before it merges what is left.
const QUIET: Duration = Duration::from_secs(13);

/// A server started for a measurement; ended when dropped.
pub(super) struct MeasuredProcess {
    child: Child,
    name: &'static str,
}

impl MeasuredProcess {
    /// Starts a server, its output in `log`.
    pub(super) fn start(name: &'static str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn();
        let child = child.with_context(|| format!("cannot start {name} ({})", command.get_program().display()))?;
        Ok(Self { child, name })
    }

    /// Waits until `is_ready` holds; returns how long that took.
    pub(super) fn wait_until(&mut self, mut is_ready: impl FnMut() -> bool) -> anyhow::Result<Duration> {
        let began = Instant::now();
        while !is_ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} before it was ready", self.name);
            }
            if began.elapsed() > Duration::from_secs(60) {
                bail!("{} was not ready after a minute", self.name);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(began.elapsed())
    }

    /// Processor time used so far, in seconds.
    pub(super) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may hold spaces; utime and stime are fields 14 and 15, 12 and 13 after it.
        let after_name = stat.rsplit_once(')').context("/proc/PID/stat")?.1;
        let ticks = |field: usize| after_name.split_whitespace().nth(field).and_then(|text| text.parse::<f64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("/proc/PID/stat")?;
        Ok((user + system) / TICKS_A_SECOND)
    }

    /// The most memory held so far, in bytes.
    pub(super) fn peak_memory_bytes(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// Waits until the process hardly works: everything that was put off (merges above all) is done. Returns the
    /// processor time it has used then.
    pub(super) fn wait_until_quiet(&self) -> anyhow::Result<f64> {
        let mut last = self.cpu_seconds()?;
        let mut quiet_since = Instant::now();
        let began = Instant::now();
        while quiet_since.elapsed() < QUIET {
            if began.elapsed() > Duration::from_secs(900) {
                bail!("{} still works after a quarter of an hour", self.name);
            }
            std::thread::sleep(Duration::from_millis(500));
            let now = self.cpu_seconds()?;
            if now - last > 0.03 {
                quiet_since = Instant::now();
            }
            last = now;
        }
        Ok(last)
    }

    /// Asks the process to stop, as an operator does, and waits until it has.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let status = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        if !status.success() {
            bail!("cannot signal {}", self.name);
        }
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            if began.elapsed() > Duration::from_secs(60) {
                bail!("{} did not stop within a minute", self.name);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for MeasuredProcess {
    fn drop(&mut self) {
        // Already ended is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of 127.0.0.1 that is free now.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Bytes that a folder takes on disk, as `du` counts them.
pub(super) fn disk_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        // A server may remove a file while we look.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}
