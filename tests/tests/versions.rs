//! Does the CI of a generated service turn red if a second version of a crate would lose what it is told, and only
//! then?

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use longpole_tests::generate::{NEWEST, generate};
use longpole_tests::process::run;
use longpole_tests::service::cargo;
use longpole_tests::{build_variables, place};

fn versions(service: &Path) -> Output {
    Command::new(service.join("ci/versions")).envs(build_variables()).output().unwrap()
}

/// Adds one crate, under another name, to a table of the manifest, and runs `ci/versions`.
fn with(service: &Path, table: &str, name: &str, version: &str) -> Output {
    let manifest = service.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let line = format!("\n[{table}.old]\npackage = \"{name}\"\nversion = \"={version}\"\n");
    fs::write(manifest, text + &line).unwrap();
    run(cargo(service).args(["update", "--quiet", "--workspace"]));
    versions(service)
}

#[test]
fn a_second_version_that_loses_data_turns_the_check_red_and_a_harmless_one_does_not() {
    let service = generate(NEWEST, "twice", &place("twice")).done();
    let read = |name: &str| fs::read_to_string(service.join(name)).unwrap();
    let clean = [("Cargo.toml", read("Cargo.toml")), ("Cargo.lock", read("Cargo.lock"))];
    let reset = || clean.iter().for_each(|(name, text)| fs::write(service.join(name), text).unwrap());
    let said = |output: &Output| String::from_utf8(output.stderr.clone()).unwrap();

    let output = versions(&service);
    assert!(output.status.success(), "as it is generated: {}", said(&output));

    let red = [
        (("metrics", "0.23.1"), "metrics", "lost", ["metrics@0.23.1", "metrics@0.24."]),
        // An old crate brings the second version, which the manifest does not name.
        (("http-body", "0.4.6"), "http", "do not fit", ["http@0.2.", "http@1."]),
        (("tokio", "0.2.25"), "tokio", "never wakes", ["tokio@0.2.25", "tokio@1."]),
    ];
    for ((added, version), name, reason, both) in red {
        let output = with(&service, "dependencies", added, version);
        let said = said(&output);
        assert!(!output.status.success(), "{name}: {said}");
        let first =
            said.lines().find(|line| line.starts_with(&format!("{name} is in this service"))).unwrap();
        assert!(first.contains(reason), "{said}");
        for version in both {
            assert!(said.contains(&format!("--invert {version}")), "{name}: no {version} in {said}");
        }
        reset();
    }

    let green = [
        ("dependencies", "log", "0.3.9"),          // it hands everything over to 0.4
        ("dependencies", "bytes", "0.5.6"),        // it loses nothing
        ("dev-dependencies", "metrics", "0.23.1"), // it is not in the service
        ("target.'cfg(windows)'.dependencies", "metrics", "0.23.1"), // it is not in the service for this machine
    ];
    for (table, added, version) in green {
        let output = with(&service, table, added, version);
        assert!(output.status.success(), "{added} {version} in {table}: {}", said(&output));
        reset();
    }

    // The owner has looked at this version and skips it.
    with(&service, "dependencies", "http", "0.2.12");
    let deny = read("deny.toml");
    let skip = "\nskip = [\n    { crate = \"http@0.2.12\", reason = \"of a test\" },";
    fs::write(service.join("deny.toml"), deny.replace("\nskip = [", skip)).unwrap();
    let output = versions(&service);
    assert!(output.status.success(), "{}", said(&output));
    fs::write(service.join("deny.toml"), deny).unwrap();

    // The whole check stops there, before it builds anything.
    let output = Command::new(service.join("ci/check")).envs(build_variables()).output().unwrap();
    assert!(!output.status.success());
    assert!(said(&output).contains("http is in this service more than once"), "{}", said(&output));
    assert!(!said(&output).contains("Compiling"), "{}", said(&output));
}
