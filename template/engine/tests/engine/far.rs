//! A database in another region is as good as a near one, only slower.

use std::thread;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};

use super::server::speak_tls;
use crate::common::database::OnAServer;
use crate::common::{Database, PATIENCE, PastTheService, Service, eventually, setup};
use longpole_testing::Proxy;
use longpole_testing::Server;

/// How long a service has to stay ready to be called steady: it asks its database every half second.
const STEADY: Duration = Duration::from_secs(6);
/// What this machine may be busy with meanwhile.
const NOISE: Duration = Duration::from_secs(3);
/// Opening a connection takes eight, finding out about poolers seven, the rest reads the schema.
const ROUND_TRIPS_OF_A_START: u32 = 24;

/// With the password hashed as servers do it by default, and TLS.
async fn server() -> Server {
    let server = Server::start();
    let database = Database::on(&server);
    let mut admin = database.connect().await;
    let hashed = "COPY (SELECT 1) TO PROGRAM 'echo host all all 127.0.0.1/32 scram-sha-256 >pg_hba.conf'";
    raw_sql(AssertSqlSafe(hashed)).execute(&mut admin).await.unwrap();
    speak_tls(&mut admin).await;
    let url = database.url().replace('?', "?sslmode=require&");
    let begun = Instant::now();
    while PgConnection::connect(&url).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "it does not speak TLS");
    }
    server
}

fn start(database: &Database, proxy: &Proxy) -> Service {
    let url = database.url_at(proxy.addr).replace('?', "?sslmode=require&");
    setup().set("database.url", &url).set("database.max_connections", "2").start()
}

fn is_ready(service: &Service) -> bool {
    service.ask("/readyz").status == 200
}

fn stays_ready(service: &Service, how: &str) {
    let begun = Instant::now();
    while begun.elapsed() < STEADY {
        let answer = service.ask("/readyz");
        assert_eq!(answer.status, 200, "{how}, after {:?}: {}", begun.elapsed(), answer.text());
        thread::sleep(Duration::from_millis(20)); // between two looks
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_far_database_is_ready_and_stays_so() {
    let server = server().await;
    thread::scope(|scope| {
        for millis in [0, 80, 300] {
            let database = Database::on(&server);
            scope.spawn(move || {
                let proxy = Proxy::to(database.addr());
                let round_trip = Duration::from_millis(millis);
                // The first start has a schema to make, too.
                let made = setup().set("database.url", &database.url()).run(&["migrate"]);
                assert_eq!(made.status.code(), Some(0));
                proxy.round_trip(round_trip);
                let begun = Instant::now();
                let service = start(&database, &proxy);
                eventually("ready", || is_ready(&service).then_some(()));
                let most = NOISE + ROUND_TRIPS_OF_A_START * round_trip;
                assert!(begun.elapsed() < most, "{round_trip:?} away: ready after {:?}", begun.elapsed());
                stays_ready(&service, &format!("{round_trip:?} away"));
                assert_eq!(service.get("/drill/query/0").status, 200);

                // A firewall forgets the idle connections, the probe's among them.
                proxy.cut();
                stays_ready(&service, &format!("{round_trip:?} away, connections lost"));
                let warned = |line: &serde_json::Value| line["message"] == "database does not answer";
                let warnings = service.log().into_iter().filter(warned).count();
                assert!(warnings <= 1, "{warnings} warnings at {round_trip:?}");
            });
        }
    });
}

#[tokio::test]
async fn a_silent_database_is_known_within_its_bounds_however_far_it_is() {
    let database = Database::new();
    // Near: two seconds. Far: 18 round trips, and the pause between two looks.
    for (millis, most) in [(0, 2_000), (200, 500 + 18 * 200)] {
        let proxy = Proxy::to(database.addr());
        proxy.round_trip(Duration::from_millis(millis));
        let service = setup().set("database.url", &database.url_at(proxy.addr)).start();
        eventually("ready", || is_ready(&service).then_some(()));
        service.await_line("it has asked", |line| line["message"] == "serving");
        let silent = Instant::now();
        proxy.freeze();
        eventually("known", || (!is_ready(&service)).then_some(()));
        assert!(
            silent.elapsed() < Duration::from_millis(most) + Duration::from_secs(1),
            "{millis} ms away: {:?}",
            silent.elapsed()
        );
        proxy.thaw();
        eventually("ready again", || is_ready(&service).then_some(()));
    }
}

#[tokio::test]
async fn a_connection_that_takes_longer_than_a_request_waits_is_kept() {
    let database = Database::new();
    let proxy = Proxy::to(database.addr());
    let service = setup()
        .set("database.url", &database.url_at(proxy.addr))
        .set("database.max_connections", "1")
        .set("database.acquire_timeout", "300ms")
        .start();
    proxy.cut();
    proxy.delay_connections(Duration::from_secs(1));

    // The first requests find none in time; one of them has begun to open it.
    eventually("an answer", || (service.get("/drill/query/0").status == 200).then_some(()));

    let opened = [("pool", "main")];
    let timeouts = service.metric("db_pool_timeouts_total", &opened);
    assert!(timeouts >= 1.0, "{timeouts}");
    let open = ["idle", "in_use"]
        .map(|state| service.metric("db_pool_connections", &[("pool", "main"), ("state", state)]));
    assert_eq!(open.iter().sum::<f64>(), 1.0, "the one that was opened");
}

#[tokio::test]
async fn readiness_tells_a_database_that_refuses_from_one_that_is_silent() {
    let database = Database::new();
    let (role, url) = database.role().await;
    let service = setup().set("database.url", &url).start();
    eventually("ready", || is_ready(&service).then_some(()));

    database.run(&format!("ALTER ROLE {role} PASSWORD 'another'")).await;
    let ended = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'");
    database.run(&ended).await;

    eventually("refused", || {
        let answer = service.ask("/readyz");
        (answer.status == 503 && answer.text().contains("refuses this service: password")).then_some(())
    });
}
