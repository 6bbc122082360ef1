//! Does `sh ci/try` show a running service, end when it is told to, and leave nothing behind?

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::{env, fs, thread};

use longpole_tests::generate::{NEWEST, cargo_generate};
use longpole_tests::process::{BUILD, PATIENCE, Process, poll};
use longpole_tests::{build_variables, place, repo, tree};
use rustix::process::Signal;

/// A copy of the repository in a folder of its own, so that `../NAME` is free.
fn copy(name: &str) -> PathBuf {
    let copy = place(name).join("longpole");
    let unwanted = ["target", ".git", "data", "logs"];
    tree::copy(&repo(), &copy, |name| !unwanted.contains(&name.rsplit('/').next().unwrap()));
    copy
}

/// `sh ci/try ARGS`, with an installed cargo-generate, as developers have it.
fn ci_try(copy: &Path, args: &[&str]) -> Command {
    let tools = cargo_generate(NEWEST).parent().unwrap().to_owned();
    let path = env::join_paths([tools].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap())));
    // If the tests run in the background, SIGINT may be ignored, and a shell hands that on to its commands.
    let mut command = Command::new("env");
    command
        .args(["--default-signal=INT", "sh", "ci/try"])
        .args(args)
        .current_dir(copy)
        .env("PATH", path.unwrap())
        .envs(build_variables())
        .stdin(Stdio::null());
    command
}

/// Runs `ci/try` until it has printed `last`, ends it with `stop`, and returns what it has printed. The last of `args`
/// is the name of the service.
fn tour(copy: &Path, args: &[&str], last: &str, stop: impl Fn(&Process)) -> String {
    let name = args.last().unwrap();
    let mut process = Process::start(ci_try(copy, args).stdout(Stdio::piped()).process_group(0));
    let stdout = process.child().stdout.take().unwrap();
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let _ = sender.send(line.unwrap());
        }
    });
    let mut printed = String::new();
    while !printed.contains(last) {
        let line = lines.recv_timeout(BUILD).unwrap_or_else(|error| panic!("{error}: {printed}"));
        printed.push_str(&line);
        printed.push('\n');
    }
    let service = copy.with_file_name(name);
    assert!(!processes_in(&service).is_empty(), "it does not run");
    stop(&process);
    let status = process.end();
    reader.join().unwrap();
    printed.extend(lines.iter().map(|line| line + "\n"));
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(printed.contains("ended with exit code 0"), "{printed}");
    assert_eq!(processes_in(&service), Vec::<String>::new());
    printed
}

/// The processes that work in a folder.
fn processes_in(folder: &Path) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let here = all.filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == *folder));
    here.map(|process| fs::read_to_string(process.join("cmdline")).unwrap_or_default()).collect()
}

fn shows_a_request(printed: &str) {
    for part in [
        "> POST /items HTTP/1.1",
        "< HTTP/1.1 201 Created",
        "\"message\":\"request\"",
        "\"request_id\":\"try-1\"",
        "http_request_duration_seconds_count{method=\"POST\",route=\"/items\",status=\"201\"} 1",
    ] {
        assert!(printed.contains(part), "no {part} in {printed}");
    }
}

#[test]
fn it_shows_a_service_and_shows_it_again() {
    let copy = copy("try");
    let first = tour(&copy, &["demo-1"], "Ctrl-C stops it", |ctrl_c| ctrl_c.signal_group(Signal::INT));
    shows_a_request(&first);
    assert!(first.contains("== Generating "), "{first}");
    let record = fs::read_to_string(copy.with_file_name("demo-1").join(".template.toml")).unwrap();
    assert!(record.contains("repo = \"../longpole\""), "{record}");

    // The service is shown also if another program has the default port.
    let _taken = TcpListener::bind("127.0.0.1:8080");
    let second = tour(&copy, &["demo-1"], "Ctrl-C stops it", |script| script.signal(Signal::TERM));
    shows_a_request(&second);
    assert!(second.contains("is there already: starting it again"), "{second}");
    assert!(second.contains("127.0.0.1:8080 is in use"), "{second}");

    // These are the first two of the drill's phases. The tests of the status page see all phases.
    let drill =
        tour(&copy, &["--drill", "demo-1"], "request_body\n", |ctrl_c| ctrl_c.signal_group(Signal::INT));
    assert!(drill.contains("and watch it name each of these\nadmission\n"), "{drill}");
}

/// What `ci/try` prints if it does not begin at all.
fn refused(mut command: Command) -> (Option<i32>, String) {
    let mut process = Process::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let status = process.end();
    let mut stderr = String::new();
    process.child().stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (status.code(), stderr)
}

#[test]
fn it_refuses_a_name_and_says_why() {
    let copy = copy("try-names");
    for (name, why) in [
        ("", "begins with a lower-case letter"),
        ("1abc", "begins with a lower-case letter"),
        ("-x", "begins with a lower-case letter"),
        ("Demo", "only lower-case letters"),
        ("a b", "only lower-case letters"),
        ("a;b", "only lower-case letters"),
        ("--drill=x", "begins with a lower-case letter"),
        ("../x", "begins with a lower-case letter"),
        ("fn", "keyword of Rust"),
        ("yield", "keyword of Rust"),
        ("test", "uses it"),
        ("tokio", "depends on a crate of that name"),
        ("longpole", "depends on a crate of that name"),
        ("longpole-testing", "depends on a crate of that name"),
        (&"x".repeat(61), "at most 60"),
    ] {
        let (code, stderr) = refused(ci_try(&copy, &[name]));
        assert_eq!(code, Some(2), "{name}: {stderr}");
        assert!(stderr.contains(why), "{name}: {stderr}");
    }
    let beside = fs::read_dir(copy.parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1, "something was made beside the copy");
}

#[test]
fn it_leaves_a_foreign_folder_alone() {
    let copy = copy("try-foreign");
    let foreign = copy.with_file_name("mine");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("notes"), "mine").unwrap();
    let (code, stderr) = refused(ci_try(&copy, &["mine"]));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("does not come from this template"), "{stderr}");
    assert_eq!(tree::files(&foreign).len(), 1);
}

#[test]
fn a_failed_generation_leaves_nothing() {
    let copy = copy("try-failed");
    let twin = copy.join("template/README.md.liquid");
    fs::write(&twin, "{{{ this cannot be rendered").unwrap();
    let (code, stderr) = refused(ci_try(&copy, &["demo"]));
    assert_ne!(code, Some(0), "{stderr}");
    assert!(stderr.contains("README.md"), "{stderr}");
    assert!(!copy.with_file_name("demo").exists(), "{stderr}");
}

#[test]
fn it_can_be_stopped_at_any_time() {
    let copy = copy("try-stopped");
    let mut process = Process::start(ci_try(&copy, &["demo"]).stdout(Stdio::null()).stderr(Stdio::null()));
    let service = copy.with_file_name("demo");
    poll("the first cargo", PATIENCE, || (!processes_in(&service).is_empty()).then_some(()));
    process.signal(Signal::TERM);
    poll("the end", BUILD, || process.has_ended());
    assert_eq!(processes_in(&service), Vec::<String>::new());
}
