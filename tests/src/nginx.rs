//! An nginx before some replicas.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{PATIENCE, Process, poll};

/// A running nginx. It ends when this is dropped.
pub struct Nginx {
    pub addr: String,
    process: Process,
    dir: TempDir,
}

impl Nginx {
    pub fn start(replicas: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The workers of nginx do not run as root.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        fs::write(dir.path().join("nginx.conf"), config(dir.path().to_str().unwrap(), &addr, replicas))
            .unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(dir.path()).args(["-c", "nginx.conf", "-e", "error.log"]);
        let process = Process::start(command.stdin(Stdio::null()).stderr(Stdio::null()));
        poll("nginx", PATIENCE, || TcpStream::connect(&addr).ok());
        Self { addr, process, dir }
    }

    /// From now on nginx sends new requests only to these replicas. Requests under way finish.
    pub fn send_to(&self, replicas: &[String]) {
        let text = config(self.dir.path().to_str().unwrap(), &self.addr, replicas);
        fs::write(self.dir.path().join("nginx.conf"), text).unwrap();
        let reloads = || self.log().matches("reconfiguring").count();
        let before = reloads();
        self.process.signal(Signal::HUP);
        poll("the reload", PATIENCE, || (reloads() > before).then_some(()));
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default()
    }
}

fn config(dir: &str, addr: &str, replicas: &[String]) -> String {
    // nginx must not leave a replica that refuses out for ten seconds: both replicas could be left out at once.
    let servers: String = replicas.iter().map(|addr| format!("server {addr} max_fails=0; ")).collect();
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {dir}/{name};\n"));
    format!(
        "daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log notice;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
             access_log off;\n{}\
             upstream replicas {{ {servers} keepalive 16; }}\n\
             server {{ listen {addr}; location / {{\n\
                 proxy_pass http://replicas; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
             }} }}\n\
         }}\n",
        temp.concat()
    )
}
