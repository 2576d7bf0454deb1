//! What the kernel knows of a process, and processes that end with ours.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::{OnceLock, mpsc};
use std::{fs, io, thread};

/// The most memory that the process had at one time, in bytes.
pub fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    let kib: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kib << 10
}

/// Bytes that the process has read by system calls, from files and sockets, since it began.
pub fn bytes_read(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).expect("the process runs");
    let line = io.lines().find(|line| line.starts_with("rchar:")).expect("rchar");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

/// How many file descriptors the process has open.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs").count()
}

/// The state of a process, as the kernel writes it in one letter; none where there is no such process.
fn state(pid: u32) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("State:"))?.trim().chars().next()
}

/// Whether there is such a process that has not ended; one that nobody has waited for has.
pub fn is_running(pid: u32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// Whether the process was stopped by a signal.
pub fn is_stopped(pid: u32) -> bool {
    state(pid) == Some('T')
}

/// Starts a process that the kernel kills (SIGKILL) as soon as this one has ended, however that came about: what a test has started
/// ends with it. What the process starts in turn does not.
pub fn spawn_bound(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        // The kernel's signal comes when the *thread* has ended that started a process; this one lives as long as we do.
        thread::spawn(move || {
            for (mut command, answer) in orders {
                // Whoever asked may have panicked meanwhile: then nobody wants it.
                if let Err(mpsc::SendError(Ok(mut unwanted))) = answer.send(command.spawn()) {
                    let _ = unwanted.kill();
                    let _ = unwanted.wait();
                }
            }
        });
        sender
    });
    let (answer, started) = mpsc::channel();
    starter.send((bound(command), answer)).expect("the thread lives as long as we do");
    started.recv().expect("the thread lives as long as we do")
}

/// A command to start, and where to say what became of it.
type Order = (Command, mpsc::Sender<io::Result<Child>>);

fn bound(mut command: Command) -> Command {
    let parent = std::process::id();
    let bind = move || {
        // SAFETY: prctl() and getppid() touch no memory of ours and are safe between fork and exec.
        #[allow(unsafe_code)]
        let (result, now) = unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // It may have ended before the kernel was told.
        if now as u32 == parent { Ok(()) } else { Err(io::Error::from(io::ErrorKind::NotFound)) }
    };
    // SAFETY: what runs between fork and exec makes two system calls and allocates nothing.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(bind);
    }
    command
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    use super::*;
    use crate::wait;

    const HOLDER: &str = "process::tests::holds_a_process";

    #[test]
    fn what_a_test_has_started_ends_with_it_and_not_with_a_thread_of_it() {
        let mut holder = Command::new(std::env::current_exe().unwrap());
        holder.args(["--ignored", "--exact", HOLDER, "--nocapture"]);
        holder.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let mut lines = BufReader::new(holder.stderr.take().unwrap()).lines();
        let told = lines.find_map(|line| line.unwrap().split_once("holds ")?.1.trim().parse::<u32>().ok());
        let pid = told.expect("it tells the process");
        assert!(is_running(pid));
        holder.kill().unwrap();
        holder.wait().unwrap();
        wait::until("it ends", || (!is_running(pid)).then_some(()));
    }

    #[test]
    #[ignore = "a part of the test above, which starts it"]
    fn holds_a_process() {
        let start = || {
            spawn_bound({
                let mut sleep = Command::new("sleep");
                sleep.arg("600");
                sleep
            })
        };
        // Of a thread that ends at once.
        let mut child = thread::spawn(start).join().unwrap().unwrap();
        eprintln!("holds {}", child.id());
        // Until the test above kills this, or is gone itself.
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
