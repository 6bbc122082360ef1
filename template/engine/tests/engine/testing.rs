//! Do the tools that owners test with do what they promise?

use std::time::Duration;

use longpole_testing::{Cut, Proxy, Upstream, UpstreamAnswer};

use crate::common::{Response, Service, setup};

fn fetch(service: &Service, url: &str) -> Response {
    service.get(&format!("/drill/fetch?url={url}"))
}

#[test]
fn an_upstream_fails_in_the_way_that_the_test_says() {
    let service = setup().set("http_client.timeout", "500ms").start();
    let upstream = Upstream::start(|request| match request.target.as_str() {
        "/json" => UpstreamAnswer::json(200, &serde_json::json!({"of": request.header("x-request-id")})),
        "/never" => UpstreamAnswer::new(200, "").after(Duration::MAX),
        "/torn" => UpstreamAnswer::new(200, "half of this").cut(Cut::InBody),
        _ => panic!("the script panics on purpose"),
    });

    for (path, status) in [("/json", 200), ("/never", 504), ("/torn", 502), ("/panics", 502), ("/json", 200)]
    {
        assert_eq!(fetch(&service, &upstream.url(path)).status, status, "{path}");
    }
    assert_eq!(upstream.await_received(5)[1].target, "/never");

    let url = upstream.url("/json");
    drop(upstream);
    fetch(&service, &url).problem(502);
}

#[test]
fn a_network_is_silent_cut_and_well_again() {
    let service = setup().set("http_client.timeout", "500ms").start();
    let upstream = Upstream::start(|_| UpstreamAnswer::new(200, ""));
    let network = Proxy::to(upstream.addr);
    let status = || fetch(&service, &network.url("/")).status;

    assert_eq!(status(), 200);
    network.freeze();
    assert_eq!(status(), 504);
    network.thaw();
    assert_eq!(status(), 200);
    network.cut();
    assert_eq!(status(), 200, "on a new connection");
    network.disconnect();
    assert_eq!(status(), 502);
    network.reconnect();
    assert_eq!(status(), 200);
    assert!(network.round_trips() >= 4);
}

#[test]
fn a_service_that_is_not_ready_says_so_on_all_ways() {
    let mut service = setup().set("shutdown.drain_delay", "1s").start();
    service.await_ready();
    service.signal("TERM");
    assert!(service.await_not_ready().text().contains("draining"));
    assert_eq!(service.wait(), 0);
    let refused = setup().set("server.addr", "nowhere").spawn();
    refused.await_stderr("server.addr");
}

#[cfg(feature = "_database")]
mod with_a_database {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn each_test_begins_with_its_own_copy_of_a_migrated_database() {
        let [one, other] = [(); 2].map(|()| setup().set("database.migrate_on_start", "false").migrated());
        one.database.execute("INSERT INTO drill_schema (n) VALUES (1)");

        let services = [one.start(), other.start()];

        let rows = services.each_ref().map(|it| it.database.count("SELECT count(*) FROM drill_schema"));
        assert_eq!(rows, [1, 0]);
    }

    #[test]
    fn a_migration_that_fails_says_why() {
        // The prefix makes the template one of its own.
        let setup = setup().env_prefix("OWN__").variable("DRILL_ENV_PREFIX", "OWN__");
        let wrong = setup.set("database.acquire_timeout", "soon");

        let failure = catch_unwind(AssertUnwindSafe(|| wrong.migrated())).err().expect("it has to fail");

        let said = failure.downcast::<String>().unwrap();
        assert!(said.contains("`migrate` ends with exit status: 2"), "{said}");
        assert!(said.contains("OWN__DATABASE__ACQUIRE_TIMEOUT"), "{said}");
    }

    #[test]
    fn a_database_that_was_used_already_is_not_replaced() {
        let setup = setup();
        setup.database.execute("CREATE TABLE mine (n INT)");
        assert!(catch_unwind(AssertUnwindSafe(|| setup.migrated())).is_err());
    }

    #[test]
    fn a_test_that_panics_leaves_neither_a_folder_nor_a_process() {
        let mut seen = None;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let service = setup().migrated().start();
            seen = Some((service.dir.path().to_owned(), service.pid()));
            panic!("on purpose");
        }));

        assert!(outcome.is_err());
        let (folder, pid) = seen.unwrap();
        assert!(!folder.exists() && !std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_database_on_a_server_of_the_test_can_be_taken_away() {
        let mut server = longpole_testing::Server::start();
        let service = setup().on(&server).migrated().start();
        service.await_ready();
        server.crash();
        service.await_not_ready();
        server.resume();
        service.await_ready();
    }
}
