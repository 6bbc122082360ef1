//! No secret is in the log, in `check`, on the status page or in an error, wherever it came from.

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
        (format!("user:{SECRET}@{addr}/hello?token={SECRET}"), "***".to_owned()), // no scheme
    ] {
        let setup = setup().set("http_client.example_url", &url).set("log.level", "trace");
        let check = setup.run(&["check"]);
        let service = setup.start();

        service.call("GET", "/quote", &[("x-request-id", "quote")], b""); // there, where there are examples
        service.request_line("quote");

        let check = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
        assert!(check.contains(&format!("http_client.example_url = {shown}")), "{check}");
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
