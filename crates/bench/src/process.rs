//! A server that is started for a measurement.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::usage::Usage;

/// How long a process must hardly work to count as quiet: longer than the store waits before it merges what is left.
const QUIET: Duration = Duration::from_secs(13);

/// A server started for a measurement; ended when dropped.
pub struct MeasuredProcess {
    child: Child,
    name: &'static str,
}

impl MeasuredProcess {
    /// Starts a server, its output in `log`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(name: &'static str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn();
        let child = child.with_context(|| format!("cannot start {name} ({})", command.get_program().display()))?;
        Ok(Self { child, name })
    }

    /// Waits until `is_ready` holds; returns how long that took.
    ///
    /// # Errors
    /// Where it ends before, or is not ready after a minute.
    pub fn wait_until(&mut self, mut is_ready: impl FnMut() -> bool) -> anyhow::Result<Duration> {
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

    /// What the process takes of the machine.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    /// Waits until the process hardly works: everything that was put off (merges above all) is done. Returns the
    /// processor time it has used then.
    ///
    /// # Errors
    /// Where it is gone, or still works after a quarter of an hour.
    pub fn wait_until_quiet(&self) -> anyhow::Result<f64> {
        let mut last = self.usage().cpu_seconds()?;
        let mut quiet_since = Instant::now();
        let began = Instant::now();
        while quiet_since.elapsed() < QUIET {
            if began.elapsed() > Duration::from_secs(900) {
                bail!("{} still works after a quarter of an hour", self.name);
            }
            std::thread::sleep(Duration::from_millis(500));
            let now = self.usage().cpu_seconds()?;
            if now - last > 0.03 {
                quiet_since = Instant::now();
            }
            last = now;
        }
        Ok(last)
    }

    /// Asks the process to stop, as an operator does, and waits until it has.
    ///
    /// # Errors
    /// Where it has not stopped after a minute.
    pub fn stop(mut self) -> anyhow::Result<()> {
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
///
/// # Errors
/// Where there is none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
