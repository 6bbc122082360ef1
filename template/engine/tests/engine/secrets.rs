//! No secret is in the log, in `check`, on the status page or in an error, wherever it came from.

use std::collections::BTreeMap;
use std::ffi::OsString;

use longpole::internals::{Sources, load};
use serde::{Deserialize, Serialize};

use crate::common::{Service, setup};

const SECRET: &str = "hunter2";

/// Everything that the service says to anybody.
fn said(service: &Service) -> String {
    let log: String = service.log().iter().map(ToString::to_string).collect();
    let pages = ["/", "/status.json", "/metrics", "/readyz", "/livez"].map(|path| service.ask(path).text());
    log + &pages.concat() + &service.stderr()
}

#[test]
fn what_clients_send_is_not_repeated() {
    let service = setup().set("log.level", "trace").set("server.server_timing", "true").start();
    let token = format!("Bearer {SECRET}");
    let headers = [("authorization", &*token), ("cookie", SECRET), ("x-api-key", SECRET)];

    let mut answers = String::new();
    let paths = [
        format!("/drill/sleep/0?token={SECRET}"),
        format!("/nowhere/{SECRET}?token={SECRET}"),
        "/drill/panic".to_owned(),
        format!("/drill/call/0?token={SECRET}"),
    ];
    for (n, path) in paths.iter().enumerate() {
        let id = format!("request-{n}");
        let id = ("x-request-id", &*id);
        let answer = service.call("GET", path, &[&headers[..], &[id]].concat(), SECRET.as_bytes());
        service.request_line(id.1);
        // The upstream of the drill echoes the headers that it got: those of the client are not among them.
        answers += &answer.text();
    }

    assert!(!answers.contains(SECRET), "{answers}");
    let said = said(&service);
    assert!(!said.contains(SECRET), "{}", said.lines().find(|line| line.contains(SECRET)).unwrap());
}

#[test]
fn what_the_owner_configured_is_not_repeated() {
    let other = setup().start();
    let addr = other.public;
    for (url, shown) in [
        (
            format!("http://user:{SECRET}@{addr}/hello?token={SECRET}"),
            format!("\"http://***@{addr}/hello?***"),
        ),
        (format!("user:{SECRET}@{addr}/hello?token={SECRET}"), "\"***\"".to_owned()), // no scheme
    ] {
        let setup = setup().set("app.upstream_url", &url).set("log.level", "trace");
        let check = setup.run(&["check"]);
        let service = setup.start();

        service.call("GET", "/upstream", &[("x-request-id", "quote")], b"");
        service.request_line("quote");

        let check = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
        assert!(check.contains(&format!("app.upstream_url = {shown}")), "{check}");
        for text in [check, said(&service), said(&other)] {
            // As it is, and as it goes into the header: base64 of `user:hunter2`.
            for secret in [SECRET, "dXNlcjpodW50ZXIy"] {
                assert!(
                    !text.contains(secret),
                    "{}",
                    text.lines().find(|line| line.contains(secret)).unwrap()
                );
            }
        }
    }
}

/// Settings of any name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Named(BTreeMap<String, serde_json::Value>);

#[test]
fn what_a_name_calls_a_secret_is_not_shown() {
    let secret = format!("\"{SECRET}\"");
    let url = format!("\"db://app:{SECRET}@db/app?x={SECRET}\"");
    let report = |name: &str, value: &str| {
        let variable = (OsString::from(format!("APP__APP__{name}")), OsString::from(value));
        load::<Named>(&Sources::default(), None, [variable].into_iter())
            .map_err(|faults| faults.join("\n"))
            .unwrap()
            .report()
    };

    for name in [
        "SIGNING_KEY",
        "SIGNING_KEYS",
        "PASS",
        "PASSPHRASE",
        "DB_PWD",
        "AUTH",
        "PRIVATE",
        "CREDENTIAL",
        "CREDENTIALS",
        "SESSION_COOKIE",
        "SALT",
        "PIN",
        "CONNECTION_STRING",
        "PASSWORD",
        "MYPASSWORD",
        "API_KEY",
        "APIKEY",
        "CLIENT_SECRET",
        "ACCESS_TOKEN",
        "TOKENS",
        "KEYS__MAIN",
        "SECRETS__DEEP__DOWN",
        "AUTH__TTL",
        "JWT",
    ] {
        for value in [secret.clone(), format!("[{secret}]"), format!("{{\"inner\":{secret}}}")] {
            assert!(!report(name, &value).contains(SECRET), "{name}");
        }
    }
    for name in ["DATABASE_URL", "DSN", "URLS__MAIN", "REPLICA_URI", "UPSTREAM"] {
        let report = report(name, &url);
        assert!(!report.contains(SECRET) && report.contains("db://***@db/app?***"), "{name}: {report}");
    }
    // Names that only sound like it, or say something about a secret.
    for name in [
        "MONKEY",
        "PASSENGERS",
        "COMPASS",
        "SPINNING",
        "AUTHORS",
        "KEYBOARD",
        "KEY_FILE",
        "TOKEN_TTL",
        "MAX_TOKENS",
        "PASSWORD_MIN_LENGTH",
        "COOKIE_NAME",
        "SALTED",
        "PRIVATELY",
    ] {
        assert!(report(name, &secret).contains(SECRET), "{name} is hidden");
    }
    let list = format!("[{{\"host\":\"h\",\"password\":{secret}}}]");
    let shown = report("MIRRORS", &list);
    assert!(!shown.contains(SECRET) && shown.contains("host = \"h\""), "{shown}");
}

#[test]
fn of_our_own_keys_only_urls_are_hidden() {
    let report = load::<Named>(&Sources::default(), None, std::iter::empty())
        .map_err(|faults| faults.join("\n"))
        .unwrap()
        .report();
    assert!(report.contains("server.request_timeout = ") && !report.contains("= \"***\""), "{report}");
}

#[test]
fn a_secret_is_in_no_fault_and_in_no_debug_output() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Typed {
        signing_key: u16,
        keys: BTreeMap<String, u16>,
    }
    let set = [
        ("APP__APP__SIGNING_KEY", SECRET),
        ("APP__APP__KEYS__A", SECRET),
        #[cfg(feature = "_database")]
        ("APP__DATABASE__URL", "db://hunter2"),
    ]
    .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let faults = load::<Typed>(&Sources::default(), None, set.clone().into_iter())
        .map(|loaded| loaded.app)
        .unwrap_err();
    assert!(faults.len() == set.len() && !faults.join("").contains(SECRET), "{faults:?}");

    #[cfg(feature = "_database")]
    {
        let mut config = longpole::Config::default();
        config.database.url = format!("db://app:{SECRET}@db.example/app?password={SECRET}").into();
        let debug = format!("{config:?} {config:#?} {:?} {:?}", config.database, config.http_client);
        assert!(!debug.contains(SECRET), "{debug}");
        for shown in
            ["DatabaseConfig {", "db.example/app", "max_connections", "HttpClientConfig {", "ServerConfig {"]
        {
            assert!(debug.contains(shown), "{shown} is not in {debug}");
        }
    }
}
