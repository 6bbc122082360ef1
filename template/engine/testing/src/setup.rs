//! With which settings does the program start?

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::database::Database;
#[cfg(feature = "postgres")]
use crate::database::Server;
use crate::folder::folder;
use crate::patience::eventually;
#[cfg(feature = "postgres")]
use crate::proxy::Proxy;
use crate::service::{Killed, Service};

/// The key of the configuration that names the database.
const DATABASE_URL: &str = "database.url";

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
    /// Where the program finds its database, if this is not the database's own address.
    #[cfg(feature = "postgres")]
    database_at: Option<SocketAddr>,
}

impl Setup {
    /// Returns the setup of the program at this path. Prefer [`setup!`](crate::setup!), which knows where the program is.
    pub fn of(program: impl Into<PathBuf>) -> Self {
        let setup = Self {
            dir: folder(),
            #[cfg(feature = "sqlite")]
            database: Database::new(),
            #[cfg(feature = "postgres")]
            database: Database::later(None),
            program: program.into(),
            prefix: "APP__".to_owned(),
            settings: BTreeMap::new(),
            variables: BTreeMap::new(),
            shell: Vec::new(),
            stderr: None,
            #[cfg(feature = "postgres")]
            database_at: None,
        };
        setup.set("server.addr", "127.0.0.1:0").set("admin.addr", "127.0.0.1:0")
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

    /// Lets the test begin with a database that has its schema already. Without this, the database is empty, and the program
    /// makes the schema when it starts, as long as `database.migrate_on_start` is on.
    ///
    /// The program is run once with the argument `migrate`, for all tests of a test program that have the same settings and
    /// variables at this call, and each test gets a copy of the result. So this is faster than a start on an empty database, and the test can insert rows before
    /// the program starts. Call it after the settings that `migrate` needs, and before the database is used.
    ///
    /// ```no_run
    /// # macro_rules! setup { () => { longpole_testing::Setup::of("my-service") } }
    /// # #[cfg(any(feature = "sqlite", feature = "postgres"))]
    /// # {
    /// let setup = setup!().migrated();
    /// setup.database.execute("INSERT INTO items (name) VALUES ('from the start')");
    /// let service = setup.start();
    /// assert_eq!(service.get("/items/1").status, 200);
    /// # }
    /// ```
    ///
    /// # Panics
    /// `migrate` ends with another exit code than 0: the message has what the program has printed on stderr.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    #[must_use]
    pub fn migrated(mut self) -> Self {
        assert!(
            !self.settings.contains_key(DATABASE_URL),
            "with a `{DATABASE_URL}` of your own, migrate its database yourself"
        );
        // What `migrate` makes may depend on each of these.
        let key =
            format!("{} {} {:?} {:?}", self.program.display(), self.prefix, self.settings, self.variables);
        let mut migrate = self.prepared(Command::new(&self.program), None);
        let url_in = self.variable_of(DATABASE_URL);
        let dir = self.dir.path();
        self.database.fill(&key, |url| {
            let ended = run(migrate.env(url_in, url).arg("migrate"), dir);
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(ended.status.success(), "`migrate` ends with {}: {said}", ended.status);
        });
        self
    }

    /// Puts the database on a server that only this test uses, so that the test may stop the server.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn on(mut self, server: &Server) -> Self {
        self.database = Database::later(Some(server));
        self
    }

    /// Puts a [`Proxy`] between the program and its database, so that the test can make the database slow, silent or absent
    /// on a server that other tests use, too. What the test itself does in the database does not go through the proxy. Call
    /// it after [`on`](Self::on).
    ///
    /// ```no_run
    /// # macro_rules! setup { () => { longpole_testing::Setup::of("my-service") } }
    /// let (setup, network) = setup!().migrated().database_proxy();
    /// let service = setup.start();
    ///
    /// network.freeze();
    /// service.await_not_ready();
    /// service.get("/items").problem(503);
    /// network.thaw();
    /// service.await_ready();
    /// ```
    #[cfg(feature = "postgres")]
    pub fn database_proxy(mut self) -> (Self, Proxy) {
        let proxy = Proxy::to(self.database.addr());
        self.database_at = Some(proxy.addr);
        (self, proxy)
    }

    /// Returns the command that starts the program, for what the other methods cannot do.
    pub fn command(&self) -> Command {
        let program = match self.shell.is_empty() {
            true => Command::new(&self.program),
            false => {
                let mut shell = Command::new("bash");
                shell
                    .args(["-c", &format!("{}; exec \"$0\" \"$@\"", self.shell.join("; "))])
                    .arg(&self.program);
                shell
            }
        };
        self.prepared(program, self.database_url())
    }

    /// Gives a command its folder and its environment.
    fn prepared(&self, mut command: Command, database_url: Option<String>) -> Command {
        command.current_dir(&self.dir).stdin(Stdio::null()).env_clear();
        command.envs(database_url.map(|url| (self.variable_of(DATABASE_URL), url)));
        let settings = self.settings.iter().map(|(key, value)| (self.variable_of(key), value));
        command.envs(settings).envs(&self.variables);
        command
    }

    /// The environment variable of a key of the configuration.
    fn variable_of(&self, key: &str) -> String {
        format!("{}{}", self.prefix, key.replace('.', "__").to_uppercase())
    }

    /// Where the program finds the database of the test. `None` if the test has chosen another one, or has none.
    fn database_url(&self) -> Option<String> {
        if self.settings.contains_key(DATABASE_URL) {
            return None;
        }
        #[cfg(not(any(feature = "sqlite", feature = "postgres")))]
        return None;
        #[cfg(feature = "sqlite")]
        return Some(self.database.url());
        #[cfg(feature = "postgres")]
        return Some(self.database_at.map_or_else(|| self.database.url(), |addr| self.database.url_at(addr)));
    }

    /// Runs the program with arguments such as `check`, and waits for its end. If the program serves instead of ending, it is
    /// killed, and the test fails.
    pub fn run(&self, arguments: &[&str]) -> Output {
        run(self.command().args(arguments), self.dir.path())
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

/// Runs a command until its end. What it prints goes through files of this folder.
fn run(command: &mut Command, dir: &Path) -> Output {
    let output = |name| File::create(dir.join(name)).unwrap();
    let mut child = Killed(command.stdout(output("stdout")).stderr(output("stderr")).spawn().unwrap());
    let status = eventually("exit", || child.0.try_wait().unwrap());
    let read = |name| fs::read(dir.join(name)).unwrap();
    Output { status, stdout: read("stdout"), stderr: read("stderr") }
}
