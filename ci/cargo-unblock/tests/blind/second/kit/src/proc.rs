use std::process::{Child, Command, ExitStatus, Stdio};

pub fn git_rev() -> Option<String> {
    run("git", &["rev-parse", "HEAD"])
}

pub fn run(tool: &str, args: &[&str]) -> Option<String> {
    let out = Command::new(tool).args(args).output().ok()?;
    String::from_utf8(out.stdout).ok()
}

/// Owns a child and reaps it on drop.
pub struct Supervised {
    child: Child,
}

impl Supervised {
    pub fn adopt(child: Child) -> Self {
        Self { child }
    }
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
    pub fn poll_exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
    pub fn finish(&mut self) -> Option<ExitStatus> {
        self.child.wait().ok()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn quiet(tool: &str) -> Command {
    let mut c = Command::new(tool);
    c.stdin(Stdio::null()).stdout(Stdio::null());
    c
}
