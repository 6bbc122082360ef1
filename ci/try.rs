//! This does for `ci/try` what plain shell cannot do: see whether an address is free, start a program in a process
//! group of its own, send one HTTP request. It uses only the standard library, so that `rustc` alone compiles it.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{self, Command};
use std::time::Duration;

/// How long an answer may take. Higher: a service that hangs is noticed later. Lower: a slow machine fails.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match &args[..] {
        ["free", addr] => TcpListener::bind(addr).map(drop).map_err(Into::into),
        ["start", pid_file, program, rest @ ..] => start(pid_file, program, rest),
        ["request", addr, method, path, rest @ ..] => request(addr, method, path, rest),
        ["body", addr, path] => body(addr, path),
        _ => Err("usage: free ADDR | start PID_FILE PROGRAM [ARG...] | request ADDR METHOD PATH \
                  [NAME:VALUE...] [BODY] | body ADDR PATH"
            .into()),
    };
    if let Err(error) = outcome {
        eprintln!("{}: {error}", args.join(" "));
        process::exit(1);
    }
}

/// Turns this process into the program. In a group of its own, the program does not get the terminal's Ctrl-C: the
/// script passes the signal on, once.
fn start(pid_file: &str, program: &str, args: &[&str]) -> Result<(), Box<dyn Error>> {
    fs::write(pid_file, process::id().to_string())?;
    Err(Command::new(program).args(args).process_group(0).exec().into())
}

/// Shows a request and its answer.
fn request(addr: &str, method: &str, path: &str, rest: &[&str]) -> Result<(), Box<dyn Error>> {
    let (headers, body) = match rest {
        [headers @ .., body] if body.starts_with('{') => (headers, *body),
        headers => (headers, ""),
    };
    let mut head = vec![format!("{method} {path} HTTP/1.1"), format!("host: {addr}")];
    head.extend(headers.iter().map(|header| header.replacen(':', ": ", 1)));
    if !body.is_empty() {
        head.push(format!("content-length: {}", body.len()));
    }
    head.push("connection: close".to_owned());
    let answer = exchange(addr, &format!("{}\r\n\r\n{body}", head.join("\r\n")))?;
    for line in head.iter().map(String::as_str).chain(["", body]) {
        println!("    > {line}");
    }
    for line in answer.lines() {
        println!("    < {line}");
    }
    Ok(())
}

/// Prints only the body of an answer.
fn body(addr: &str, path: &str) -> Result<(), Box<dyn Error>> {
    let head = format!("GET {path} HTTP/1.0\r\nhost: {addr}\r\n\r\n");
    let answer = exchange(addr, &head)?;
    print!("{}", answer.split_once("\r\n\r\n").ok_or("no end of the head")?.1);
    Ok(())
}

fn exchange(addr: &str, request: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
