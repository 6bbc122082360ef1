//! What is on the list, and why?

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::Config;
use crate::failure::Failure;
use crate::list::{self, ENGINE, Entry, List, Tier};
use crate::options::{CargoOptions, ListOptions, Options};
use crate::packages;

/// `cargo unblock list`.
pub fn print_list(options: &ListOptions) -> Result<ExitCode, Failure> {
    let mut text = String::new();
    for entry in entries(options.manifest_path.as_ref())? {
        text.push_str(&format!("{}\t{}\t{}\t{}\n", entry.path, entry.tier, entry.category, entry.instead()));
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

/// `cargo unblock --explain PATH`.
pub fn explain(path: &str, options: &Options) -> Result<ExitCode, Failure> {
    let entries = entries(options.cargo.manifest_path.as_ref())?;
    let list = List::new(entries, Vec::new());
    // A finding prints the path of a trait's method as `<std::fs::File as std::io::Read>::read`.
    let plain = match path.strip_prefix('<').and_then(|rest| rest.split_once(" as ")) {
        Some((_, rest)) => rest.replacen('>', "", 1),
        None => path.to_owned(),
    };
    let found: Vec<&Entry> = list.find(&plain).map(|index| &list.entries[index]).collect();
    if found.is_empty() {
        let last = plain.rsplit("::").next().unwrap_or(&plain);
        let near: Vec<&str> = list
            .entries
            .iter()
            .filter(|entry| entry.path.rsplit("::").next() == Some(last))
            .map(|entry| entry.path.as_str())
            .take(8)
            .collect();
        let hint = if near.is_empty() { String::new() } else { format!("; these are: {}", near.join(", ")) };
        return Err(Failure::new(format!("`{path}` is not on the list{hint}")));
    }
    for entry in found {
        println!("{}\n", entry.path);
        println!("  {}", reason(&entry.category));
        println!("  {}", meaning(entry.tier));
        if !entry.instead.is_empty() {
            println!("  Instead: {}", entry.instead());
        }
        println!(
            "  Category {}, tier {}{}.",
            entry.category,
            entry.tier,
            if entry.own { ", from the project's configuration" } else { "" }
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The list in force: of the workspace if the command runs in one, and otherwise the built-in list.
fn entries(manifest_path: Option<&PathBuf>) -> Result<Vec<Entry>, Failure> {
    let options = CargoOptions { manifest_path: manifest_path.cloned(), ..CargoOptions::default() };
    let in_workspace = manifest_path.is_some()
        || std::env::current_dir()
            .is_ok_and(|folder| folder.ancestors().any(|f| f.join("Cargo.toml").exists()));
    if !in_workspace {
        return Ok(list::built_in());
    }
    Ok(Config::read(&packages::workspace(&options)?.workspace_root)?.entries)
}

/// Says why calls of this category block.
fn reason(category: &str) -> &'static str {
    match category {
        "fs" | "fs-crate" => {
            "It waits for the file system: microseconds from the cache, milliseconds from a disk, seconds from a network share or a full queue."
        }
        "net" | "tls" => "It waits for the other side of a connection, for as long as that side takes.",
        "dns" => "It asks the system's resolver, which may wait seconds for a name server.",
        "process" => "It waits until another process ends or writes.",
        "thread" | "sync" | "channel" => {
            "It parks this thread until another one acts. If that one needs this event loop, it is a deadlock."
        }
        "block_on" => {
            "It drives a future on this thread until it is done. Within an event loop it panics, or stops all that the worker was to do."
        }
        "tokio-blocking" => {
            "It is the twin of an async method, for threads outside of the runtime; inside, it panics."
        }
        "http" => "It sends a request and waits for the answer on this thread.",
        "ws" | "ssh" | "mail" | "ldap" | "queue" => "It waits for a server's answer on this thread.",
        "db" => "It runs a query and waits for its rows on this thread.",
        "cpu-kdf" => "It is slow on purpose: tens to hundreds of milliseconds of computing.",
        "cpu-rayon" => "It waits on this thread until the work is done on others.",
        "cpu-image" | "cpu-archive" | "cpu-compress" | "cpu-sys" => {
            "It computes for milliseconds or more, in which the worker does nothing else."
        }
        "io" | "serde" | "csv" => {
            "It reads or writes until it has all; if that comes from a file, a socket or a pipe, it waits for it."
        }
        "stdin" => "It waits for a person, or for a pipe.",
        "vcs" => "It reads and writes many files, or waits for a server.",
        "lock" => {
            "A guard that is alive while its task is suspended keeps all others out, for as long as the await takes. A task on the same worker that wants the lock blocks the worker: a deadlock."
        }
        "print" => {
            "It waits when nobody reads the other end of the pipe or the terminal is slow, and takes a lock that all threads share."
        }
        ENGINE => "It does not block: it is known for what it does with a closure or a future.",
        "escape" | "closure" => "It does not block: it is known for what it does with a closure.",
        _ => "It keeps the worker from doing anything else until it returns.",
    }
}

/// Says when an entry of this tier is reported.
fn meaning(tier: Tier) -> &'static str {
    match tier {
        Tier::Block => "It is reported wherever async code reaches it.",
        Tier::Bounded => {
            "It is reported when the workspace makes bounded channels of that crate; others never wait."
        }
        Tier::Reader => {
            "It is reported when it reads from or writes to a file, socket, pipe or other source; in memory it does not wait."
        }
        Tier::Resolve => "It is reported when it is called on a name; an address needs no resolver.",
        Tier::Guard => {
            "It is no finding itself: a lock that is held shortly is fine. A guard that is alive across an await is one."
        }
        Tier::Minor | Tier::DroppedMinor => {
            "It blocks shortly, seldom, or at start-up as a rule: reported with `--also minor`."
        }
        Tier::Print | Tier::Console => "It is reported with `--also print`.",
        Tier::Source => "Reading from it or writing to it is reported.",
        Tier::Iterator => "Taking its next item is reported.",
        Tier::Held => "It is reported when it is alive across an await.",
        Tier::Dropped => "Dropping it is reported.",
        Tier::Offload => {
            "The closure that it is given runs off the event loop: what that calls is not reported."
        }
        Tier::Lazy => "The closure that it is given runs where the result is used.",
        Tier::Loop => "It calls closures that it is given on the event loop: they count as async code.",
        Tier::Calls => {
            "The closure that it is given runs where this is called; the future that it is given is polled on the event loop."
        }
        Tier::Entry => "Frameworks call this method on the event loop: it counts as async code.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A category that is missing in `reason` gets the sentence for functions of the project, which says
    /// less.
    #[test]
    fn every_category_of_the_list_has_a_reason_of_its_own() {
        let general = reason("own");
        for entry in list::built_in() {
            assert_ne!(reason(&entry.category), general, "{}: {}", entry.path, entry.category);
        }
    }
}
