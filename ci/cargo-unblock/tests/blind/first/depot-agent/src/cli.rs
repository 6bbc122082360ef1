use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep as nap;
use std::time::Duration;

use std::fs as disk;

use depot_util::mem::{Blob, Step};

use crate::{jobs, report, watch};

/// One command of the agent.
type Action = Box<dyn Fn(&Path) -> io::Result<String> + Send + Sync>;

fn actions() -> Vec<(&'static str, Action)> {
    vec![
        ("version", Box::new(|_| Ok(env!("CARGO_PKG_VERSION").to_owned()))),
        ("show", Box::new(|root| disk::read_to_string(root.join("base.conf")))),
        ("clean", Box::new(clean)),
    ]
}

fn clean(root: &Path) -> io::Result<String> {
    disk::remove_dir_all(root.join("tmp"))?;
    Ok("cleaned".to_owned())
}

pub async fn run(root: PathBuf) -> io::Result<()> {
    let wanted = std::env::args().nth(2).unwrap_or_else(|| "version".into());
    for (name, action) in actions() { //~ OK only makes the table
        if name == wanted {
            let text = action(&root)?; //~ BAD(dynamic) boxed closures read and remove files
            eprintln!("{text}");
        }
    }
    let seen = watch::first_change(&root).await?;
    let lines = report::collect(&root).await?;
    let sizes = jobs::measure(vec![root.clone()]).await;
    eprintln!("{seen:?} {lines} {sizes:?}");
    settle(&root).await
}

async fn settle(root: &Path) -> io::Result<()> {
    nap(Duration::from_millis(5)); //~ BAD(direct) renamed thread::sleep
    disk::write(root.join("agent.pid"), std::process::id().to_string())?; //~ BAD(direct) renamed std::fs
    tokio::fs::write(root.join("agent.up"), b"1").await?; //~ OK tokio::fs
    Ok(())
}

/// Asks on the terminal.
pub async fn confirm(question: &str) -> io::Result<bool> {
    let mut answer = String::new();
    let stdin = io::stdin();
    stdin.read_line(&mut answer)?; //~ BAD(method) waits for the terminal
    if answer.trim().is_empty() {
        let mut rest = String::new();
        stdin.lock().read_to_string(&mut rest)?; //~ BAD(method) waits for the terminal
        answer = rest;
    }
    Ok(answer.trim() == question)
}

pub async fn confirm_tokio(question: &str) -> io::Result<bool> {
    use tokio::io::AsyncBufReadExt;
    let mut answer = String::new();
    let mut input = tokio::io::BufReader::new(tokio::io::stdin());
    input.read_line(&mut answer).await?; //~ OK tokio stdin
    Ok(answer.trim() == question)
}

pub async fn confirm_text(mut input: &[u8]) -> io::Result<String> {
    let mut answer = String::new();
    input.read_line(&mut answer)?; //~ OK BufRead of a slice
    let rest = io::read_to_string(input)?; //~ OK reads a slice to its end
    Ok(answer + &rest)
}

pub async fn all_input() -> io::Result<usize> {
    let text = io::read_to_string(io::stdin())?; //~ BAD(direct) waits for the end of the terminal's input
    let mut lines = 0;
    for line in io::stdin().lines() { //~ BAD(method) lines of the terminal
        lines += line?.len();
        tokio::task::yield_now().await;
    }
    Ok(text.len() + lines)
}

/// Runs the site's tools.
pub async fn tools(dir: &Path) -> io::Result<usize> {
    let mut git = Command::new("git");
    git.current_dir(dir).arg("gc");
    let out = git.output()?; //~ BAD(method) waits for git
    let mut tok = tokio::process::Command::new("git");
    tok.current_dir(dir).arg("fsck");
    let checked = tok.output().await?; //~ OK tokio::process
    Ok(out.stdout.len() + checked.stdout.len())
}

pub async fn finish(mut child: Child, other: Child) -> io::Result<bool> {
    if let Some(status) = child.try_wait()? { //~ OK try_wait does not wait
        return Ok(status.success());
    }
    let status = child.wait()?; //~ BAD(method) Child::wait
    let rest = other.wait_with_output()?; //~ BAD(method) Child::wait_with_output
    Ok(status.success() && rest.status.success())
}

pub async fn finish_tokio(mut child: tokio::process::Child) -> io::Result<bool> {
    let status = child.wait().await?; //~ OK tokio Child
    Ok(status.success())
}

/// Only plans; nothing is run.
pub async fn plan() -> String {
    let mut step = Step::default().arg("git").arg("gc"); //~ OK own type
    step.sleep(); //~ OK own method sets a flag
    let asleep = step.wait(); //~ OK own method reads a flag
    let count = step.output(); //~ OK own method counts
    let status = step.status(); //~ OK own method gives a name
    tokio::task::yield_now().await;
    let call = step.call(); //~ OK own method formats
    let times = step.execute(3); //~ OK own method multiplies
    let joined = step.join(" "); //~ OK own method joins strings
    format!("{asleep} {count} {status} {call} {times} {joined}")
}

pub async fn blob(data: &[u8]) -> usize {
    let mut blob = Blob::open(data); //~ OK own type in memory
    let mut buf = [0; 16];
    let n = blob.read(&mut buf); //~ OK own read in memory
    blob.write_all(&buf[..n]); //~ OK own write_all in memory
    tokio::task::yield_now().await;
    let (at, len) = blob.metadata(); //~ OK own metadata in memory
    at + len + blob.sync_all() //~ OK own sync_all in memory
}
