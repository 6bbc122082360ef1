//! What PostgreSQL's errors become, what each connection is told, and what a statement costs on the wire.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use axum::body::to_bytes;
use axum::response::IntoResponse;
use futures_util::future::join;
use longpole::{Problem, Trouble};
use sqlx::{query, query_scalar, raw_sql};

use super::blame::{blames, header, line_and_metric_blame, small};
use super::database::{open, open_with, rows};
use super::start::never_works;
use crate::common::database::OnAServer;
use crate::common::proxy::Proxy;
use crate::common::{
    Database, PATIENCE, PastTheService, Setup, WRITE, eventually, hold, make_pipe, resolved_by, setup,
};

/// Asserts what a client sees of it, and that nothing internal is in there.
async fn becomes(error: sqlx::Error, trouble: Trouble, status: u16) {
    assert_eq!(Trouble::of(&error), trouble, "{error}");
    let response = Problem::from(error).into_response();
    assert_eq!(response.status(), status);
    assert_eq!(response.headers().contains_key("retry-after"), status == 503);
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    for internal in ["SQL", "unique", "deadlock", "statement", "t_", "pg_", "INSERT"] {
        assert!(!text.contains(internal), "{internal} is in {text}");
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_a_504_and_the_server_gives_it_up() {
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.statement_timeout = Duration::from_millis(100);
    })
    .await;

    let error = query("SELECT pg_sleep(60)").execute(&db.read).await.unwrap_err();

    assert!(error.as_database_error().is_some(), "the server says so, not we: {error}");
    becomes(error, Trouble::Slow, 504).await;
    assert_eq!(rows(&db).await, 0, "the only connection is there again");
}

#[tokio::test]
async fn a_lock_that_stays_taken_is_a_503() {
    let (db, _database) = open_with(|config| config.database.lock_timeout = Duration::from_millis(50)).await;
    let mut holder = db.write.begin().await.unwrap();
    query("LOCK TABLE t").execute(&mut *holder).await.unwrap();

    let error = query("INSERT INTO t VALUES (1)").execute(&db.write).await.unwrap_err();

    becomes(error, Trouble::Busy, 503).await;
}

#[tokio::test]
async fn a_deadlock_is_a_503_for_one_of_the_two() {
    let (db, database) = open().await;
    database.run("INSERT INTO t VALUES (1), (2)").await;
    let (mut one, mut two) = (db.write.begin().await.unwrap(), db.write.begin().await.unwrap());
    for (transaction, n) in [(&mut one, 1_i64), (&mut two, 2)] {
        query("UPDATE t SET n = n WHERE n = $1").bind(n).execute(&mut **transaction).await.unwrap();
    }

    let crossed = join(
        query("UPDATE t SET n = n WHERE n = 2").execute(&mut *one),
        query("UPDATE t SET n = n WHERE n = 1").execute(&mut *two),
    );
    let (one, two) = crossed.await;

    assert!(one.is_ok() != two.is_ok(), "one goes on: {one:?}, {two:?}");
    becomes(one.and(two).unwrap_err(), Trouble::Conflict, 503).await;
}

#[tokio::test]
async fn a_serialization_failure_is_a_503() {
    let (db, database) = open().await;
    database.run("INSERT INTO t VALUES (1)").await;
    let (mut one, mut two) = (db.write.begin().await.unwrap(), db.write.begin().await.unwrap());
    for transaction in [&mut one, &mut two] {
        raw_sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").execute(&mut **transaction).await.unwrap();
        query("SELECT n FROM t").execute(&mut **transaction).await.unwrap();
    }
    query("UPDATE t SET n = 2").execute(&mut *one).await.unwrap();
    one.commit().await.unwrap();

    let error = query("UPDATE t SET n = 3").execute(&mut *two).await.unwrap_err();

    becomes(error, Trouble::Conflict, 503).await;
}

#[tokio::test]
async fn what_exists_or_is_referred_to_is_a_409() {
    let (db, database) = open().await;
    database.run("CREATE TABLE t_unique (id int PRIMARY KEY); INSERT INTO t_unique VALUES (1)").await;
    database.run("CREATE TABLE t_refers (id int REFERENCES t_unique)").await;

    let exists = query("INSERT INTO t_unique VALUES (1)").execute(&db.write).await.unwrap_err();
    let dangles = query("INSERT INTO t_refers VALUES (2)").execute(&db.write).await.unwrap_err();

    becomes(exists, Trouble::Refused, 409).await;
    becomes(dangles, Trouble::Refused, 409).await;
}

#[tokio::test]
async fn a_mistake_in_a_statement_is_a_500_that_says_nothing() {
    let (db, _database) = open().await;

    let error = query("SELECT secret FROM t_internal").execute(&db.read).await.unwrap_err();

    becomes(error, Trouble::Refused, 500).await;
}

#[tokio::test]
async fn a_transaction_that_is_forgotten_is_ended_and_its_permit_comes_back() {
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.idle_in_transaction_timeout = Duration::from_millis(50);
    })
    .await;
    let mut forgotten = db.write.begin().await.unwrap();
    query("INSERT INTO t VALUES (1)").execute(&mut *forgotten).await.unwrap();

    tokio::time::sleep(Duration::from_millis(500)).await;
    let error = query("INSERT INTO t VALUES (2)").execute(&mut *forgotten).await.unwrap_err();
    drop(forgotten);

    assert!(matches!(Trouble::of(&error), Trouble::Slow | Trouble::Away), "{error}");
    assert_eq!(rows(&db).await, 0);
}

#[tokio::test]
async fn a_transaction_that_has_failed_cannot_be_committed() {
    let (db, database) = open().await;
    database.run("CREATE TABLE t_unique (id int PRIMARY KEY)").await;
    let mut transaction = db.write.begin().await.unwrap();
    query("INSERT INTO t VALUES (1)").execute(&mut *transaction).await.unwrap();
    for _ in 0..2 {
        let _ = query("INSERT INTO t_unique VALUES (1)").execute(&mut *transaction).await; // the second fails
    }

    let committed = transaction.commit().await;

    assert!(committed.is_err(), "nothing of it is there");
    assert_eq!(rows(&db).await, 0);
}

#[tokio::test]
async fn a_prepared_statement_that_a_migration_made_stale_is_prepared_anew() {
    let (db, database) = open_with(|config| config.database.max_connections = 1).await;
    database.run("CREATE TABLE t_changes (a int); INSERT INTO t_changes VALUES (1)").await;
    let read = async || query("SELECT * FROM t_changes").fetch_all(&db.read).await.map(|rows| rows.len());
    assert_eq!(read().await.unwrap(), 1);
    database.run("ALTER TABLE t_changes ADD COLUMN b text").await;

    becomes(read().await.unwrap_err(), Trouble::Conflict, 503).await;

    assert_eq!(read().await.unwrap(), 1, "once for each connection, not until a restart");
}

#[tokio::test]
async fn a_connection_whose_statement_was_given_up_and_failed_is_used_again() {
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.statement_timeout = Duration::from_millis(200);
    })
    .await;
    let pid = async || {
        let pid: i32 = query_scalar("SELECT pg_backend_pid()").fetch_one(&db.read).await.unwrap();
        pid
    };
    let before = pid().await;

    let given_up = query("SELECT pg_sleep(60)").execute(&db.read);
    assert!(tokio::time::timeout(Duration::from_millis(50), given_up).await.is_err());

    assert_eq!(pid().await, before, "the server ended the statement, not the connection");
}

#[tokio::test]
async fn the_loss_of_the_probes_own_connection_is_no_outage() {
    let service = setup().set("database.statement_timeout", "9s").start();
    let probes = "state = 'idle' AND query = 'SELECT 1' AND datname = current_database()";
    let mut past = service.database.connect().await;
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE {probes}");
    for _ in 0..600 {
        let probes: i64 = query_scalar(sqlx::AssertSqlSafe(&*count)).fetch_one(&mut past).await.unwrap();
        if probes == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let kill = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {probes}");
    let killed: bool = query_scalar(sqlx::AssertSqlSafe(kill)).fetch_one(&mut past).await.unwrap();
    assert!(killed);

    tokio::time::sleep(Duration::from_secs(2)).await; // several questions of the probe
    assert_eq!(service.ask("/readyz").status, 200);
    let silent = |line: &serde_json::Value| line["message"] == "database does not answer";
    assert!(!service.log().iter().any(silent), "it asked again on a new one");
}

#[tokio::test]
async fn each_connection_has_its_name_and_its_bounds() {
    let (db, _database) = open().await;
    let setting = async |name: &str| {
        let value = query_scalar("SELECT current_setting($1)").bind(name.to_owned()).fetch_one(&db.read);
        let value: String = value.await.unwrap();
        value
    };

    assert_eq!(setting("application_name").await, "longpole");
    assert_eq!(setting("statement_timeout").await, "5s");
    assert_eq!(setting("lock_timeout").await, "2s");
    assert_eq!(setting("idle_in_transaction_session_timeout").await, "5s");
}

#[tokio::test]
async fn a_full_server_is_waited_for_and_an_idle_connection_of_ours_is_taken_first() {
    let database = Database::new();
    let (role, url) = database.role().await;
    let (db, _other) = open_with(|config| {
        config.database.url = url.into();
        config.database.max_connections = 2;
        config.database.acquire_timeout = Duration::from_secs(1);
    })
    .await;
    database.run(&format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await;
    let one = db.write.acquire().await.unwrap();

    let refused = db.write.acquire().await.unwrap_err();
    becomes(refused, Trouble::Busy, 503).await;
    let waits = join(db.write.acquire(), async { drop(one) }).await;

    assert!(waits.0.is_ok(), "{:?}", waits.0);
}

#[tokio::test]
async fn a_query_is_one_round_trip_and_one_more_after_a_pause() {
    let database = Database::new();
    let proxy = Proxy::to(database.addr());
    let (db, _other) = open_with(|config| {
        config.database.url = database.url_by(proxy.addr).into();
        config.database.max_connections = 1;
    })
    .await;
    let one_row = async || {
        let before = proxy.round_trips();
        let found: i64 = query_scalar("SELECT count(*) FROM t").fetch_one(&db.read).await.unwrap();
        assert_eq!(found, 0);
        proxy.round_trips() - before
    };
    one_row().await; // is prepared now

    for _ in 0..10 {
        assert_eq!(one_row().await, 1);
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(one_row().await, 2, "it was idle for so long that it is asked first");
}

#[tokio::test]
async fn the_gauges_of_a_busy_pool_stay_within_its_size() {
    let service = setup().set("database.max_connections", "2").start();
    let pool = ("pool", WRITE);
    let clients: Vec<_> = (0..20).map(|_| service.begin("/drill/hold/20")).collect();

    eventually("all answers", || {
        let count = |state| service.metric("db_pool_connections", &[pool, ("state", state)]);
        let (idle, in_use) = (count("idle"), count("in_use"));
        assert!((0.0..=2.0).contains(&idle) && (0.0..=2.0).contains(&in_use), "{idle} idle, {in_use} in use");
        (service.metric("db_pool_acquire_seconds_count", &[pool]) >= 20.0 && in_use == 0.0).then_some(())
    });
    drop(clients);
}

#[test]
fn slow_connecting_is_told_from_waiting_and_querying() {
    let database = Database::new();
    let proxy = Proxy::to(database.addr());
    let by_proxy = database.url_by(proxy.addr);
    let service = small().set("database.url", &by_proxy).set("database.max_connections", "2").start();
    let _holding = service.begin("/drill/hold/60000");
    let in_use = [("pool", WRITE), ("state", "in_use")];
    service.await_metric("db_pool_connections", &in_use, |n| n == 1.0);
    proxy.delay_connections(Duration::from_millis(600));

    let response = service.call("GET", "/drill/query/0", &[("x-request-id", "victim")], b"");

    blames("db_connect", &header(&response), 500.0, "header");
    line_and_metric_blame(&service, "victim", "db_connect");
}

#[test]
fn a_url_that_can_never_work_is_refused_by_check_and_start_alike() {
    for (url, words) in [
        ("file:data/hunter2.db", &["is not a PostgreSQL URL"][..]),
        ("postgres://app:hunter2@db:port/app", &["invalid port"]),
        ("postgres://one,two/app?target_session_attrs=any", &["several hosts"]),
        ("postgres://db/app?passwd=hunter2", &["\"passwd\"", "take it out"]),
        ("postgres://app:x?hunter2@db/app", &["no parameter", "%3F"]),
        ("postgres://db/app?password=x&hunter2", &["no parameter", "%26"]),
        ("postgres://db/app?password=x#hunter2", &["%23"]),
        ("postgres://db/app?sslmode=hunter2", &["sslmode must be one of"]),
        ("postgres://db/app?sslrootcert=system", &["Mozilla's", "name a file"]),
        ("postgres://db/app?connect_timeout=hunter2", &["connect_timeout must be"]),
        ("postgres://db/app?target_session_attrs=hunter2", &["target_session_attrs must be"]),
        ("postgres://db/app?options=-c%20statement_timeout%3D9s", &["database.statement_timeout"]),
        ("postgres://db/app?options=--lock-timeout%3D9s", &["database.lock_timeout"]),
        // All of them at once, each with its price.
        (
            "postgres://u:hunter2@h.neon.tech/db?sslmode=require&channel_binding=require&sslpassword=hunter2&keepalives_idle=9",
            &[
                "channel_binding cannot be honoured: take it out; what that costs: the log-in is not bound",
                "sslpassword cannot be honoured: take it out; what that costs: the key file",
                "keepalives_idle cannot be honoured",
            ],
        ),
    ] {
        never_works(url, words);
    }
}

#[tokio::test]
async fn what_libpq_knows_and_hosted_databases_hand_out_is_honoured() {
    let database = Database::new();
    let more = "connect_timeout=3&channel_binding=prefer&sslnegotiation=postgres&gssencmode=disable&keepalives=0&\
                target_session_attrs=read-write&options=-c%20work_mem%3D5MB&fallback_application_name=fallback&";
    let (db, _other) =
        open_with(|config| config.database.url = database.url().replace('?', &format!("?{more}")).into())
            .await;
    let setting = async |name: &str| {
        let value = query_scalar("SELECT current_setting($1)").bind(name.to_owned()).fetch_one(&db.read);
        let value: String = value.await.unwrap();
        value
    };

    assert_eq!(setting("work_mem").await, "5MB");
    assert_eq!(setting("application_name").await, "fallback");
}

#[tokio::test]
async fn a_server_that_is_not_the_wanted_one_is_not_taken() {
    let database = Database::new();
    for (wanted, taken) in [("standby", false), ("read-only", false), ("primary", true), ("read-write", true)]
    {
        let url = database.url().replace('?', &format!("?target_session_attrs={wanted}&"));
        let output =
            setup().set("database.url", &url).set("database.startup_timeout", "1s").run(&["migrate"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(!taken)), "{wanted}: {stderr}");
        assert_eq!(stderr.contains("target_session_attrs"), !taken, "{wanted}: {stderr}");
    }
    // A database where transactions only read is none to write to.
    let (role, url) = database.role().await;
    database.run(&format!("ALTER ROLE {role} SET default_transaction_read_only = on")).await;
    let url = format!("{url}?target_session_attrs=read-write");
    let output = setup().set("database.url", &url).set("database.startup_timeout", "1s").run(&["migrate"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_url_says_how_long_opening_a_connection_may_take() {
    let database = Database::new();
    let proxy = Proxy::to(database.addr());
    proxy.delay_connections(Duration::from_secs(3));
    let slow = database.url_by(proxy.addr).replace('?', "?connect_timeout=1&");
    let setup = setup().set("database.url", &slow).set("database.startup_timeout", "1800ms");

    let output = setup.run(&["migrate"]);

    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("in time"), "{stderr}");
}

#[tokio::test]
async fn the_password_is_in_no_debug_output() {
    let (db, database) = open().await;
    let url = database.url();
    let password = url.split_once('@').unwrap().0.rsplit_once(':').unwrap().1;

    let shown = format!("{db:?}");

    assert!(shown.contains("Connector(") && !shown.contains(password), "{shown}");
}

#[tokio::test]
async fn what_a_user_changes_for_good_in_its_session_is_taken_back() {
    let (db, _database) = open_with(|config| config.database.max_connections = 1).await;
    let state = "SELECT concat_ws(' ', current_setting('search_path'), current_setting('statement_timeout'), \
        coalesce(current_setting('a.b', true), ''), current_setting('application_name'), current_user, \
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), \
        (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors), \
        (SELECT count(*) FROM pg_prepared_statements WHERE from_sql), to_regclass('scratch'))";
    let state = async || query_scalar::<_, String>(state).fetch_one(&db.read).await.unwrap();
    let before = state().await;
    for change in [
        "SET search_path = pg_catalog",
        "SET SESSION statement_timeout = 0",
        "SELECT set_config('a.b', 'c', false)",
        "SET ROLE pg_monitor",
        "SELECT pg_advisory_lock(1)",
        "LISTEN news",
        "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT",
        "PREPARE p AS SELECT 1",
        "CREATE TEMP TABLE scratch (n int)",
        "CREATE TEMP TABLE scratch (n int); BEGIN; SET search_path = pg_catalog; LISTEN news",
    ] {
        let mut connection = db.read.acquire().await.unwrap();
        raw_sql(change).execute(&mut connection).await.unwrap();
        drop(connection);
        assert_eq!(state().await, before, "{change}");
    }
}

#[tokio::test]
async fn what_lasts_for_a_transaction_alone_costs_no_round_trip() {
    let database = Database::new();
    let proxy = Proxy::to(database.addr());
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.url = database.url_by(proxy.addr).into();
    })
    .await;
    let run = async || {
        let mut transaction = db.write.begin().await.unwrap();
        raw_sql("SET LOCAL search_path = pg_catalog").execute(&mut *transaction).await.unwrap();
        raw_sql("SAVEPOINT here").execute(&mut *transaction).await.unwrap();
        raw_sql("SELECT pg_advisory_xact_lock(1), set_config('app.tenant', 'one', true)")
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    };
    run().await;
    let before = proxy.round_trips();
    run().await;
    assert_eq!(proxy.round_trips() - before, 5, "begin, three statements, commit");
}

/// A server that offers encryption and then says nothing: its client reads the certificates for it.
fn encrypting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 8];
            if client.read_exact(&mut request).is_ok() && client.write_all(b"S").is_ok() {
                kept.push(client);
            }
        }
    });
    addr
}

/// Its certificates are in a pipe into which nobody writes, so the thread that reads them hangs.
fn hanging() -> Setup {
    let url = format!("postgres://app@{}/app?sslmode=verify-full&sslrootcert=root.crt", encrypting());
    let setup = setup().set("database.url", &url).set("database.startup_timeout", "500ms");
    make_pipe(&setup.dir.path().join("root.crt"));
    setup
}

#[test]
fn a_start_that_hangs_in_a_blocking_call_is_given_up() {
    let setup = hanging().set("database.startup_timeout", "60s");
    let pipe = setup.dir.path().join("root.crt");
    let mut service = setup.start_admin();
    let _held = hold(&pipe);

    let begun = Instant::now();
    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn an_end_does_not_wait_for_a_blocking_call_that_hangs() {
    for (arguments, code) in [(&[][..], 1), (&["check"], 0), (&["migrate"], 1)] {
        let ended = hanging().run(arguments);
        assert_eq!(
            ended.status.code(),
            Some(code),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
}

/// A resolver that is asked and never answers. The system's own waits for it, on a thread that nobody can end.
#[test]
fn a_start_that_hangs_in_the_resolver_is_given_up() {
    let setup = setup().set("database.url", "postgres://app@database.example/app");
    let setup = resolved_by("127.0.0.9", setup);
    let (Some(setup), Ok(resolver)) = (setup, UdpSocket::bind("127.0.0.9:53")) else {
        // Not silently: the two tests above hang as a resolver does.
        println!("skipped: this user may not have a resolver of its own");
        return;
    };
    resolver.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut service = setup.start_admin();
    resolver.recv(&mut [0; 512]).expect("it is asked");

    let begun = Instant::now();
    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}
