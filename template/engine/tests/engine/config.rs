//! Configuration: every mistake is reported at once, with where it was made and what was meant.

use crate::common::{Setup, setup};

/// Runs `check` and expects exit 2. Returns the error lines.
fn faults(setup: &Setup, arguments: &[&str]) -> Vec<String> {
    let output = setup.run(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    stderr.lines().map(|line| line.strip_prefix("error: ").unwrap_or(line).to_owned()).collect()
}

fn check(setup: &Setup) -> String {
    let output = setup.run(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn all_mistakes_of_all_layers_are_reported_at_once() {
    let setup = setup()
        .file(
            "config/service.toml",
            "[server]\nrequest_timeot = \"1s\"\nworker_threads = 0\n[databas]\nurl = \"x\"\n[log]\nformat = \"xml\"\n",
        )
        .set("server.request_timeout", "soon")
        .set("server.body_limit", "1 furlong")
        .set("offload.threads", "two")
        .variable("APP__SERVER__WORKERS", "4")
        .variable("APP_SERVER_REQUEST_TIMEOUT", "1s")
        .variable("APP_PORT", "80");

    let faults = faults(&setup, &["check"]);

    for expected in [
        "config/service.toml: server.request_timeot: there is no such key; did you mean server.request_timeout?",
        "config/service.toml: server.worker_threads: must be from 1 to 1024",
        "config/service.toml: log.format: must be one of json, text",
        "APP__SERVER__REQUEST_TIMEOUT: server.request_timeout: \"soon\" is not a duration: write it like \"250ms\" or \"30s\"",
        "APP__SERVER__WORKERS: there is no such key; did you mean APP__SERVER__WORKER_THREADS?",
        "APP_SERVER_REQUEST_TIMEOUT: is not read; did you mean APP__SERVER__REQUEST_TIMEOUT?",
    ] {
        assert!(faults.iter().any(|fault| fault == expected), "{expected}\nis not among\n{faults:#?}");
    }
    for begin in ["config/service.toml: databas", "APP__SERVER__BODY_LIMIT: ", "APP__OFFLOAD__THREADS: "] {
        assert!(faults.iter().any(|fault| fault.starts_with(begin)), "{begin} is not among {faults:#?}");
    }
    assert_eq!(faults.len(), 9, "APP_PORT is a platform's, not ours: {faults:#?}");
}

#[test]
fn the_later_layer_wins_and_check_says_which() {
    let file = "[admin]\n[server]\nrequest_timeout = \"7s\"\nbody_limit = \"2MiB\"\n[app]\n";
    let setup = setup().file("config/service.toml", file).set("server.request_timeout", "8s");

    let report = check(&setup);

    for line in [
        "server.request_timeout = \"8s\"  # APP__SERVER__REQUEST_TIMEOUT",
        "server.body_limit = \"2MiB\"  # config/service.toml",
        "log.max_files = 7  # default",
        #[cfg(feature = "_database")]
        "  ok       database.acquire_timeout 2s < server.request_timeout 8s",
    ] {
        assert!(report.lines().any(|known| known == line), "{line}\nis not in\n{report}");
    }
}

#[cfg(feature = "_database")]
#[test]
fn a_default_gives_way_to_a_set_value() {
    let report = check(&setup().set("server.request_timeout", "1s"));

    let upper = "for server.request_timeout is 1s";
    for clamped in [
        format!("database.acquire_timeout = \"900ms\"  # default, 2s gave way to 900ms, {upper}"),
        format!("database.statement_timeout = \"900ms\"  # default, 5s gave way to 900ms, {upper}"),
        // What gave way is looked at again.
        "database.lock_timeout = \"810ms\"  # default, 2s gave way to 810ms, for database.statement_timeout is 900ms".to_owned(),
    ] {
        assert!(report.contains(&clamped), "{clamped} is not in {report}");
    }
}

#[test]
fn what_gave_way_to_one_value_does_not_give_way_to_another() {
    let setup = setup().set("shutdown.drain_delay", "9s").set("platform.termination_grace", "10s");

    let faults = faults(&setup, &["check"]);

    assert_eq!(faults.len(), 1);
    assert!(faults[0].contains("shutdown.drain_delay 9s < shutdown.grace 8s"), "{faults:?}");
    let fitting = check(&setup.set("shutdown.drain_delay", "5s"));
    assert!(fitting.contains("  ok       shutdown.drain_delay 5s < shutdown.grace 8s 100ms"), "{fitting}");
}

#[cfg(feature = "_database")]
#[test]
fn two_set_values_that_contradict_each_other_are_refused() {
    let setup = setup().set("server.request_timeout", "1s").set("database.acquire_timeout", "2s");

    let faults = faults(&setup, &[]);

    assert_eq!(faults.len(), 1);
    for word in ["APP__DATABASE__ACQUIRE_TIMEOUT", "database.acquire_timeout 2s < server.request_timeout 1s"]
    {
        assert!(faults[0].contains(word), "{word} is not in {faults:?}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let secret = "hunter2";
    let url = |url: String| setup().set("app.upstream_url", &url).run(&["check"]);
    let shown = url(format!("db://app:{secret}@db/app?password={secret}"));
    let late = url(format!("db://h/db?password=a@{secret}"));
    let odd = url(format!("db://app:{secret}?x@db/app"));
    let words = url(format!("host=db user=app password={secret}"));
    let slash = url(format!("db:/app:{secret}@h/app"));
    // A key of the engine's, where it has one for a URL.
    let (section, key) =
        if cfg!(feature = "_database") { ("database", "url") } else { ("app", "upstream_url") };
    let file = |value: &str| setup().file("config/service.toml", &format!("[{section}]\n{key} = {value}\n"));
    let wrong = file(&format!("[\"{secret}\"]")).run(&[]);
    let torn = file(&format!("\"{secret}")).run(&[]);

    for (output, code) in
        [(&late, 0), (&shown, 0), (&wrong, 2), (&torn, 2), (&odd, 0), (&words, 0), (&slash, 0)]
    {
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        assert!(!String::from_utf8(said).unwrap().contains(secret), "{output:?}");
    }
    assert!(String::from_utf8_lossy(&wrong.stderr).contains(&format!("{section}.{key}")));
    assert!(String::from_utf8_lossy(&torn.stderr).contains("line 2"));
}

#[test]
fn a_file_that_is_asked_for_must_be_there_and_be_one() {
    let setup = setup();
    for (file, reason) in [("absent.toml", "No such file"), (".", "directory")] {
        let faults = faults(&setup, &["check", "--config", file]);
        assert!(faults[0].starts_with(file) && faults[0].contains(reason), "{faults:?}");
    }
    assert!(check(&setup).contains("alignment"), "the default file may be absent");
}

/// Taken for a target, it would turn the whole log off.
#[test]
fn a_level_with_a_spelling_mistake_is_refused() {
    for (level, word) in [("warning", "warning"), ("info,longpole=inof", "inof")] {
        for command in [&["check"][..], &[]] {
            let faults = faults(&setup().set("log.level", level), command);
            let expected = format!(
                "APP__LOG__LEVEL: log.level: {word:?} is not a level. Levels are off, error, warn, info"
            );
            assert!(faults.len() == 1 && faults[0].starts_with(&expected), "{faults:?}");
        }
    }
    let report = check(&setup().set("log.level", "warn,longpole_drill::app=debug,sqlx=warn"));
    assert!(
        report.contains("log.level = \"warn,longpole_drill::app=debug,sqlx=warn\"  # APP__LOG__LEVEL"),
        "{report}"
    );
}

#[test]
fn bad_arguments_exit_2() {
    let faults = faults(&setup(), &["chekc"]);
    assert!(faults.iter().any(|line| line.contains("'check'")), "{faults:?}");
}
