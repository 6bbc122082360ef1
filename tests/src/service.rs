//! How is a generated service built, started and asked?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use ureq::http::Response;

use crate::process::{PATIENCE, Process, poll, run};
use crate::{build_variables, target_dir};

/// A command of cargo in the folder of a generated service, with the shared target folder.
pub fn cargo(service: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(service).envs(build_variables());
    command
}

/// Builds the program as a user would, and returns its path.
pub fn build(service: &Path) -> PathBuf {
    run(cargo(service).args(["build", "--locked"]));
    target_dir().join("debug").join(service.file_name().unwrap())
}

/// The ids of the processes that run this program.
pub fn processes(program: &Path) -> Vec<u32> {
    let of = |process: &Path| {
        let runs = fs::read_link(process.join("exe")).ok()?;
        let id = process.file_name()?.to_str()?.parse().ok()?;
        (runs == program).then_some(id)
    };
    fs::read_dir("/proc").unwrap().filter_map(|process| of(&process.ok()?.path())).collect()
}

/// A running service, in an empty folder of its own.
pub struct Running {
    dir: TempDir,
    process: Process,
    pub public: String,
    pub admin: String,
}

/// Starts the program on ports that the system chooses.
pub fn start(program: &Path, variables: &[(&str, &str)]) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(
        Command::new(program)
            .current_dir(&dir)
            .env("APP__SERVER__ADDR", "127.0.0.1:0")
            .env("APP__ADMIN__ADDR", "127.0.0.1:0")
            .envs(variables.iter().copied()) // a later one wins
            .stdin(Stdio::null()),
    );
    let mut running = Running { dir, process, public: String::new(), admin: String::new() };
    running.admin = running.address_in("admin listener ready");
    running.public = running.address_in("serving");
    running
}

impl Running {
    /// The text of the log so far.
    pub fn log(&self) -> Vec<Value> {
        let Ok(files) = fs::read_dir(self.dir.path().join("logs")) else { return Vec::new() };
        let text: String = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        // The last line may be incomplete.
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    fn address_in(&mut self, message: &str) -> String {
        poll(message, PATIENCE, || {
            if let Some(status) = self.process.has_ended() {
                panic!("the service ended with {status}: {:?}", self.log());
            }
            let line = self.log().into_iter().find(|line| line["message"] == message)?;
            Some(line["addr"].as_str().unwrap().to_owned())
        })
    }

    pub fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    pub fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.process.end()
    }
}

/// Sends a request. A reply with any status is an answer.
pub fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Response<String> {
    try_ask(method, url, headers, body).unwrap()
}

/// Sends a request to which there may be no answer.
///
/// # Errors
/// Why there is no answer.
pub fn try_ask(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Response<String>, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let outcome = agent.run(request.body(body.to_owned()).unwrap());
    let mut response = outcome.map_err(|error| error.to_string())?;
    let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
    Ok(response.map(|_| text))
}
