//! With which settings does the program start?

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::Database;
use crate::eventually;
use crate::service::{Killed, Service};

/// A service that is not started yet.
///
/// It will listen on ports of 127.0.0.1 that the system chooses. Its environment has only what is set here, and its working
/// directory is a folder of its own.
pub struct Setup {
    /// Its working directory. The folder is deleted when this value is dropped.
    pub dir: TempDir,
    /// Its database. `database.url` is set to it, unless you set another value.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub database: Database,
    program: PathBuf,
    prefix: String,
    settings: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    /// Commands that a shell runs before it becomes the program.
    shell: Vec<String>,
    /// Where the program's stderr goes. Without a value it goes into a file.
    stderr: Option<Stdio>,
}

impl Setup {
    /// Returns the setup of the program at this path. Prefer [`setup!`](crate::setup!), which knows where the program is.
    pub fn of(program: impl Into<PathBuf>) -> Self {
        let setup = Self {
            dir: tempfile::tempdir().unwrap(),
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            database: Database::new(),
            program: program.into(),
            prefix: "APP__".to_owned(),
            settings: BTreeMap::new(),
            variables: BTreeMap::new(),
            shell: Vec::new(),
            stderr: None,
        };
        let setup = setup.set("server.addr", "127.0.0.1:0").set("admin.addr", "127.0.0.1:0");
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        let setup = {
            let url = setup.database.url();
            setup.set("database.url", &url)
        };
        setup
    }

    /// The prefix of the program's environment variables, as it was given to `Service::env_prefix`. The default is `APP__`.
    #[must_use]
    pub fn env_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// Sets a key of the configuration, such as `server.request_timeout`, by its environment variable.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Sets an environment variable of the program.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Writes a file below the program's working directory, such as `config/service.toml`.
    #[must_use]
    pub fn file(self, path: &str, content: &str) -> Self {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Limits the size of every file that the program writes, so that a write fails as on a full disk.
    #[must_use]
    pub fn disk(self, kilobytes: u32) -> Self {
        self.shell(&format!("trap '' XFSZ; ulimit -f {kilobytes}"))
    }

    /// Adds a command that `bash` runs before it becomes the program, such as `ulimit -n 64`.
    #[must_use]
    pub fn shell(mut self, does: &str) -> Self {
        self.shell.push(does.to_owned());
        self
    }

    /// Sets where the program's stderr goes. Without this it goes into a file, which [`Service::stderr`] reads.
    #[must_use]
    pub fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.stderr = Some(to.into());
        self
    }

    /// Returns the command that starts the program, for what the other methods cannot do.
    pub fn command(&self) -> Command {
        let mut command = match self.shell.is_empty() {
            true => Command::new(&self.program),
            false => {
                let mut shell = Command::new("bash");
                shell
                    .args(["-c", &format!("{}; exec \"$0\" \"$@\"", self.shell.join("; "))])
                    .arg(&self.program);
                shell
            }
        };
        let name = |key: &String| format!("{}{}", self.prefix, key.replace('.', "__").to_uppercase());
        command.current_dir(&self.dir).stdin(Stdio::null()).env_clear();
        command.envs(self.settings.iter().map(|(key, value)| (name(key), value))).envs(&self.variables);
        command
    }

    /// Runs the program with arguments such as `check`, and waits for its end. If the program serves instead of ending, it is
    /// killed, and the test fails.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = |name| File::create(self.dir.path().join(name)).unwrap();
        let mut command = self.command();
        command.args(arguments).stdout(output("stdout")).stderr(output("stderr"));
        let mut child = Killed(command.spawn().unwrap());
        let status = eventually("exit", || child.0.try_wait().unwrap());
        let read = |name| fs::read(self.dir.path().join(name)).unwrap();
        Output { status, stdout: read("stdout"), stderr: read("stderr") }
    }

    /// Starts the program, and does not wait: the addresses `public` and `admin` are not known yet, and are `0.0.0.0:0`.
    pub fn spawn(mut self) -> Service {
        let stderr = self.stderr.take();
        let stderr = stderr.unwrap_or_else(|| File::create(self.dir.path().join("stderr")).unwrap().into());
        let child = Killed(self.command().stderr(stderr).spawn().unwrap());
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Service {
            dir: self.dir,
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            database: self.database,
            public: nowhere,
            admin: nowhere,
            child,
        }
    }

    /// Starts the program, and waits only for its admin listener. The address `public` is not known yet, and is `0.0.0.0:0`.
    pub fn start_admin(self) -> Service {
        let mut service = self.spawn();
        service.admin = service.address_in("admin listener ready");
        service
    }

    /// Starts the program, and waits until it serves.
    pub fn start(self) -> Service {
        let mut service = self.start_admin();
        service.public = service.address_in("serving");
        service
    }
}
