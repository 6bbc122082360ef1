//! Processes that are waited for with a deadline, and that no test leaves behind.

use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// This is longer than anything except a build takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// This is longer than a build of everything takes.
pub const BUILD: Duration = Duration::from_secs(20 * 60);

/// Asks again and again until there is an answer.
pub fn poll<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        sleep(Duration::from_millis(20));
    }
}

/// A child that is told to end when it is dropped.
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Sends a signal to the process and to the processes that it has started, as a terminal does at Ctrl-C. The
    /// process must have been started in a group of its own.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.0), signal).unwrap();
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    pub fn end(&mut self) -> ExitStatus {
        poll("the end of the process", PATIENCE, || self.0.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.has_ended().is_none() {
            // SIGKILL must not come at once, since ci/try has to stop a service first.
            self.signal(Signal::TERM);
            let deadline = Instant::now() + PATIENCE;
            while self.has_ended().is_none() && Instant::now() < deadline {
                sleep(Duration::from_millis(20));
            }
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Runs a command, and expects success. The output of the command goes to the output of the test.
pub fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
