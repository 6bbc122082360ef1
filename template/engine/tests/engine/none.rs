//! A service without a database: nothing mentions a database, and the links that are there are blamed as usual.

use std::time::Duration;

use serde_json::json;

use super::blame::line_and_metric_blame;
use crate::common::setup;
use longpole_testing::{Upstream, UpstreamAnswer};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn it_is_ready_as_soon_as_it_serves() {
    let service = setup().start();

    assert_eq!(service.ask("/readyz").status, 200);
    assert_eq!(service.ask("/livez").status, 200);
    assert_eq!(service.ask("/status.json").json()["unready"], json!([]));
}

#[test]
fn the_status_page_and_the_metrics_know_nothing_of_a_database() {
    let service = setup().start();
    assert_eq!(service.get("/drill/call/0").status, 200);
    service.get("/drill/hold/0").problem(404);

    let status = service.ask("/status.json").json();
    let limits: Vec<_> = status["limits"].as_object().unwrap().keys().collect();
    assert!(limits.iter().any(|key| *key == "http_client.max_per_host"), "{limits:?}");
    assert!(!limits.iter().any(|key| key.starts_with("database")), "{limits:?}");
    let phases: Vec<_> =
        status["phases"].as_array().unwrap().iter().map(|phase| phase[0].as_str().unwrap()).collect();
    assert!(phases.contains(&"http_upstream") && phases.contains(&"other"), "{phases:?}");
    assert!(!phases.iter().any(|phase| phase.starts_with("db_")), "{phases:?}");
    assert!(!status.to_string().contains("database"), "{status}");
    let metrics = service.ask("/metrics").text();
    assert!(metrics.contains("http_client_request_seconds_count"), "{metrics}");
    assert!(!metrics.contains("db_"), "{metrics}");
}

#[test]
fn a_gateway_shows_what_it_waits_for() {
    let upstream =
        Upstream::start(|_| UpstreamAnswer::new(200, "from afar").after(Duration::from_millis(600)));
    let service = setup().set("app.upstream_url", &upstream.url("/far")).start();

    let answer = service.call("GET", "/upstream", &[("x-request-id", "gateway")], b"");

    assert_eq!((answer.status, answer.text().as_str()), (200, "from afar"));
    let line = line_and_metric_blame(&service, "gateway", "http_upstream");
    assert_eq!((&line["route"], &line["outcome"]), (&"/upstream".into(), &"ok".into()));
    assert!(!line.to_string().contains("db_"), "{line}");
}

#[test]
fn it_has_no_command_and_no_setting_for_a_database() {
    let setup = setup();

    let check = setup.run(&["check"]);
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    assert!(!text(&check.stdout).contains("database"), "{}", text(&check.stdout));
    let help = text(&setup.run(&["--help"]).stdout);
    assert!(help.contains("check") && !help.contains("migrate"), "{help}");
    let migrate = setup.run(&["migrate"]);
    assert_eq!(migrate.status.code(), Some(2), "{migrate:?}");
    assert!(text(&migrate.stderr).contains("'migrate'"), "{migrate:?}");
    // This variable is left over from a service with a database.
    let left_over = setup.set("database.url", "sqlite:data/service.db").run(&[]);
    assert_eq!(left_over.status.code(), Some(2), "{left_over:?}");
    assert!(
        text(&left_over.stderr).contains("APP__DATABASE__URL: database: there is no such key"),
        "{left_over:?}"
    );
}
