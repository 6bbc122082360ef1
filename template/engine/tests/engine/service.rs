//! What an owner hands over in `main.rs`, and what the service says when it does not fit.

use crate::common::{Setup, read_log, setup, without_drill};
use crate::engine::start::refuses;

#[test]
fn settings_have_the_owners_prefix_and_file() {
    let of_file = "[server]\nrequest_timeout = \"7s\"\n";
    let setup = setup()
        .env_prefix("MY_SHOP__")
        .variable("DRILL_ENV_PREFIX", "MY_SHOP__")
        .variable("DRILL_CONFIG_FILE", "shop.toml")
        .variable("MY_SHOP__SERVER__BODY_LIMIT", "2MiB")
        .file("shop.toml", of_file)
        .file("config/service.toml", "nobody = \"reads this\"");

    let check = setup.run(&["check"]);
    let said = String::from_utf8(check.stdout).unwrap();
    let help = String::from_utf8(setup.run(&["--help"]).stdout).unwrap();

    assert_eq!(check.status.code(), Some(0), "{said}");
    assert!(said.contains("server.body_limit = \"2MiB\"  # MY_SHOP__SERVER__BODY_LIMIT"), "{said}");
    assert!(said.contains("server.request_timeout = \"7s\"  # shop.toml"), "{said}");
    assert!(help.contains("[default: shop.toml, if it is there]"), "{help}");
}

#[test]
fn a_default_of_the_program_is_below_the_file_and_the_environment() {
    let said = |setup: Setup| {
        let output = setup.variable("DRILL_DEFAULT", "server.body_limit=3MiB").run(&["check"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find(|line| line.starts_with("server.body_limit")).unwrap().to_owned()
    };
    let file = || setup().file("config/service.toml", "[server]\nbody_limit = \"4MiB\"\n");

    assert_eq!(said(setup()), "server.body_limit = \"3MiB\"  # Service::set_default");
    assert_eq!(said(file()), "server.body_limit = \"4MiB\"  # config/service.toml");
    let variable = file().set("server.body_limit", "5MiB");
    assert_eq!(said(variable), "server.body_limit = \"5MiB\"  # APP__SERVER__BODY_LIMIT");
}

#[test]
fn a_default_of_the_program_gives_way_to_what_an_operator_sets() {
    let check = |default: &str, key: &str, value: &str| {
        let output = setup().variable("DRILL_DEFAULT", default).set(key, value).run(&["check"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };

    let clamped = check("admission.max_wait=6s", "server.request_timeout", "5s");
    let line = "admission.max_wait = \"4s 500ms\"  # Service::set_default, 6s gave way to 4s 500ms";
    assert!(clamped.contains(line), "{clamped}");
    let wrong = check("server.addr=localhost", "server.addr", "127.0.0.1:7070");
    assert!(wrong.contains("server.addr = \"127.0.0.1:7070\"  # APP__SERVER__ADDR"), "{wrong}");
    let kept = check("admission.max_in_flight=77", "server.request_timeout", "5s");
    assert!(kept.contains("admission.max_in_flight = 77  # Service::set_default"), "{kept}");
}

#[test]
fn a_default_that_cannot_be_is_a_mistake_of_the_program() {
    for (default, words) in [
        ("server.body_limit=much", "Service::set_default: server.body_limit: "),
        ("server.body_limt=1MiB", "did you mean server.body_limit?"),
        ("=1", "Service::set_default: "),
    ] {
        let output = setup().variable("DRILL_DEFAULT", default).run(&["check"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_file_that_must_exist_is_named_when_it_is_missing() {
    let setup = setup().variable("DRILL_REQUIRED_FILE", "shop.toml");

    let missing = setup.run(&["check"]);
    let said = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(2), "{said}");
    assert!(said.contains("shop.toml: cannot be read: "), "{said}");

    let setup = setup.file("shop.toml", "[server]\nrequest_timeout = \"7s\"\n");
    let setup = setup.file("other.toml", "[server]\nrequest_timeout = \"8s\"\n");
    let check = |arguments: &[&str]| String::from_utf8(setup.run(arguments).stdout).unwrap();
    assert!(check(&["check"]).contains("server.request_timeout = \"7s\"  # shop.toml"));
    assert!(check(&["check", "--config", "other.toml"]).contains("\"8s\"  # other.toml"));
}

#[test]
fn a_program_may_read_its_arguments_itself() {
    let setup = setup().variable("DRILL_OWN_ARGUMENTS", "1").set("server.request_timeout", "7s");

    let check = setup.run(&["what-is-set", "--in", "words"]);
    assert_eq!(check.status.code(), Some(0));
    assert!(String::from_utf8(check.stdout).unwrap().contains("server.request_timeout = \"7s\""));
    #[cfg(feature = "_database")]
    {
        let migrate = setup.run(&["bring-up-to-date"]);
        assert_eq!(migrate.status.code(), Some(0));
        assert!(String::from_utf8(migrate.stdout).unwrap().contains("is up to date"));
        assert_eq!(setup.database.count("SELECT count(*) FROM drill_schema"), 0);
    }
    let mut service = setup.start();
    assert_eq!(service.get("/told").text(), "0");
    service.signal("TERM");
    assert_eq!(service.wait(), 0);
}

#[test]
fn a_second_service_in_one_process_is_refused() {
    let output = setup().variable("DRILL_INSTALL", "service").run(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in ["start: the first is no service", "error: a second Service: ", "two programs"] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_wrong_variable_is_corrected_with_the_owners_prefix() {
    for (wrong, words) in [
        ("MY_SHOP__SERVER__ADR", "did you mean MY_SHOP__SERVER__ADDR?"),
        ("MY_SHOP_SERVER_ADDR", "is not read; did you mean MY_SHOP__SERVER__ADDR?"),
    ] {
        let setup = setup().env_prefix("MY_SHOP__").variable("DRILL_ENV_PREFIX", "MY_SHOP__");
        let output = setup.variable(wrong, "x").run(&["check"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(wrong) && said.contains(words), "{said}");
    }
}

#[test]
fn a_prefix_that_cannot_work_is_refused() {
    for wrong in ["", "__", "my__", "MY_", "MY", "MY___", "1MY__", "MY-SHOP__"] {
        refuses(setup().variable("DRILL_ENV_PREFIX", wrong), &["Service::env_prefix", wrong, "APP__"]);
    }
}

#[test]
fn a_layer_is_told_what_the_log_is_told() {
    let service = setup().variable("DRILL_LAYER", "1").start();
    let told = || service.get("/told").text().parse::<u64>().unwrap();

    let before = told();
    service.get("/drill/log/10");
    service.await_line("the last line", |line| line["message"] == "drill: line" && line["line"] == 9);

    assert_eq!(told() - before, 10);
}

#[test]
fn start_may_be_async_and_wait() {
    let service = setup().variable("DRILL_START", "slow").start();
    assert_eq!(service.get("/told").status, 200);
}

/// A start that hangs is given up and nothing is printed, whether the start blocks or waits.
#[test]
fn a_start_that_hangs_ends_with_the_signal() {
    for how in ["block", "sleep"] {
        let mut service = setup().variable("DRILL_START", how).start_admin();
        service.await_line("start", |line| line["message"] == "drill: hangs");
        assert_eq!(service.ask("/readyz").status, 503, "the admin listener answers meanwhile");

        service.signal("TERM");

        assert_eq!(service.wait(), 0, "{how}");
        assert_eq!(without_drill(&service.stderr()), "", "{how}");
        assert!(service.log().iter().all(|line| line["level"] == "INFO"), "{how}: {:?}", service.log());
    }
}

/// The background work is told to end, so that it can remove temporary files.
#[test]
fn background_work_of_a_start_that_fails_ends() {
    let setup = setup().variable("DRILL_START", "begin and fail");
    let output = setup.run(&[]);
    assert_eq!(output.status.code(), Some(1));
    let ended = |line: &serde_json::Value| line["message"] == "drill: cleaned up";
    assert_eq!(read_log(setup.dir.path()).iter().filter(|line| ended(line)).count(), 1);
}

/// Nobody has sent a signal before, so the exit code is that of the failure.
#[test]
fn the_first_signal_after_a_start_that_failed_is_not_the_second() {
    let mut service = setup().variable("DRILL_START", "fail slowly").start_admin();
    service.await_line("the end of the start", |line| line["message"] == "drill: lingers");

    service.signal("TERM");

    assert_eq!(service.wait(), 1);
    assert!(!service.stderr().contains("second signal"), "{}", service.stderr());
    assert!(service.stderr().contains("start: the drill has no rules"), "{}", service.stderr());
}

#[test]
fn a_runtime_around_it_is_named() {
    refuses(setup().variable("DRILL_INSTALL", "runtime"), &["take #[tokio::main] away"]);
}

#[test]
fn a_start_that_fails_is_why_nothing_starts() {
    let words = "start: the drill has no rules: entity not found";
    refuses(setup().variable("DRILL_START", "fail"), &[words]);
    refuses(setup().variable("DRILL_START", "panic"), &["a panic, see above"]);
}

#[test]
fn what_a_process_can_have_only_once_is_named() {
    for (installed, words) in [
        ("subscriber", "has a log already"),
        ("logger", "has a log already"),
        ("hook", "has a panic hook already"),
        ("recorder", "has a recorder already"),
    ] {
        refuses(
            setup().variable("DRILL_INSTALL", installed),
            &[words, "there can be no second", "Install n"],
        );
    }
}

#[test]
fn check_names_a_program_without_line_tables() {
    let (with, without) = (setup(), setup().shell("strip -o stripped \"$0\"; exec ./stripped check"));
    let check = |setup: &Setup| String::from_utf8(setup.run(&["check"]).stdout).unwrap();
    let words = "  advice   the profile has no line tables";
    assert!(!check(&with).contains(words), "{}", check(&with));
    assert!(check(&without).contains(words), "{}", check(&without));
}

/// A service that was generated before the engine was a crate had a library of its own, whose name may still be in
/// `log.level`.
#[test]
fn a_level_for_a_crate_that_is_gone_is_named() {
    let check = |level: &str| {
        let output = setup().set("log.level", level).run(&["check"]);
        String::from_utf8(output.stdout).unwrap()
    };
    let words = "  advice   log.level names `service`, the target of lines before the engine was a crate: yours are of \
                 `longpole_drill` now, the engine's of `longpole`";
    for gone in ["info,service=debug", "info,service::app::items=debug"] {
        assert!(check(gone).contains(words), "{gone}: {}", check(gone));
    }
    assert!(!check("service_of_another_name=debug").contains("names `service`"));
}

/// Somebody else may use sqlx's migrations, which have a table of the same name.
#[cfg(feature = "_database")]
#[test]
fn without_migrations_those_of_somebody_else_are_left_alone() {
    let newer = setup().start(); // makes the table
    newer.database.execute("UPDATE _sqlx_migrations SET version = 7, success = false");
    let url = newer.database.url();
    let setup = || setup().set("database.url", &url).variable("DRILL_NO_MIGRATIONS", "1");

    let migrate = setup().run(&["migrate"]);
    let service = setup().start();

    let said = String::from_utf8(migrate.stdout).unwrap();
    assert_eq!(migrate.status.code(), Some(0), "{said}");
    assert!(said.contains("is left as it is: this program has no migrations"), "{said}");
    assert_eq!(service.ask("/readyz").status, 200);
    assert_eq!(newer.database.count("SELECT count(*) FROM _sqlx_migrations WHERE version = 7"), 1);
}
