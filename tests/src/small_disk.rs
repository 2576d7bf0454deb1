//! A disk that is soon full: a tmpfs in a mount namespace of its own, so that no privilege is needed and nothing is left behind.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A small disk. It is gone when this is dropped.
pub struct SmallDisk {
    /// Holds the namespace open until its standard input ends.
    holder: Child,
    folder: TempDir,
}

impl SmallDisk {
    /// A disk of so many MiB.
    pub fn new(mib: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = format!("mount -t tmpfs -o size={mib}m tmpfs \"$0\" && echo mounted && exec cat");
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let mut line = String::new();
        let output = holder.stdout.as_mut().expect("its output");
        BufReader::new(output).read_line(&mut line).expect("its output");
        assert_eq!(line.trim(), "mounted", "a namespace with a disk of its own can be made here");
        Self { holder, folder }
    }

    /// The disk's folder as processes on it see it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What starts a program on this disk: to be put before its name.
    pub fn wrapper(&self) -> Vec<String> {
        let target = self.holder.id().to_string();
        let words = ["nsenter", "--preserve-credentials", "--user", "--mount", "--target", &target, "--"];
        words.iter().map(ToString::to_string).collect()
    }

    /// The disk's folder as this process sees it.
    pub fn seen_from_outside(&self) -> PathBuf {
        let inside = self.folder.path().strip_prefix("/").expect("an absolute path");
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(inside)
    }

    /// Runs a shell command on the disk, in its folder.
    pub fn run(&self, script: &str) {
        let words = self.wrapper();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["sh", "-c"]).arg(format!("cd \"$0\" && {script}")).arg(self.folder.path());
        let output = command.output().expect("nsenter runs");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Writes a file that leaves `free_kib` KiB of the disk free.
    pub fn fill(&self, free_kib: u64) {
        let free = "$(df --output=avail -k . | tail -n 1)";
        self.run(&format!("free={free}; head -c $(( (free - {free_kib}) * 1024 )) /dev/zero > filler"));
    }

    /// Removes that file.
    pub fn make_room(&self) {
        self.run("rm -f filler");
    }

    /// Gives the disk another size.
    pub fn resize(&self, mib: u32) {
        self.run(&format!("mount -o remount,size={mib}m \"$0\""));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Ends `cat`, and with it the namespace and its disk.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
