//! Starting with a server that is late, wrong, small, newer, asked by several replicas, or spoken to in secret.

use std::time::Duration;

use service::engine::config::Config;
use service::engine::db;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, query_scalar, raw_sql};

use super::start::refuses;
use crate::common::database::postgres::Server;
use crate::common::{Database, Setup, eventually, setup};

fn check(setup: &Setup) -> String {
    let output = setup.run(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_start_waits_for_a_server_live_but_not_ready() {
    let mut server = Server::start();
    let database = Database::on(&server);
    server.tell("stop", "stopped");
    let service = setup().set("database.url", &database.url()).start_admin();
    service.await_line("it waits", |line| line["message"] == "waiting for the database");
    assert_eq!((service.ask("/livez").status, service.ask("/readyz").status), (200, 503));

    server.tell("start", "started");

    eventually("ready", || (service.ask("/readyz").status == 200).then_some(()));
}

#[test]
fn a_server_that_does_not_come_ends_the_start() {
    let mut server = Server::start();
    let database = Database::on(&server);
    server.tell("stop", "stopped");
    let setup = setup().set("database.url", &database.url()).set("database.startup_timeout", "1s");
    refuses(setup, &["database.url", "refused", "database.startup_timeout, 1s"]);
}

#[test]
fn a_signal_ends_the_waiting() {
    let mut server = Server::start();
    let database = Database::on(&server);
    server.tell("stop", "stopped");
    let mut service = setup().set("database.url", &database.url()).start_admin();
    service.await_line("it waits", |line| line["message"] == "waiting for the database");

    service.signal("TERM");

    assert_eq!(service.wait(), 0);
}

#[test]
fn what_no_waiting_mends_is_said_at_once_and_without_the_password() {
    let database = Database::new();
    let url = database.url();
    let (password, elsewhere) = url.split_once('@').unwrap();
    let user = password.rsplit_once(':').unwrap().0;
    for (wrong, words) in [
        (format!("{user}:hunter2@{elsewhere}"), ["password", "pg_hba.conf"]),
        (url.replace("/test_", "/hunter2_"), ["does not exist", "Create it"]),
        (url.replace('?', "?sslmode=require"), ["TLS", "sslmode"]),
    ] {
        let output = setup().set("database.url", &wrong).run(&[]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{words:?} are not in {stderr}");
        assert!(!stderr.contains("waited"), "{stderr}");
        // As the name of a database it is none.
        assert!(!stderr.replace("hunter2_", "").contains("hunter2"), "{stderr}");
    }
}

#[tokio::test]
async fn a_newer_database_is_a_warning() {
    let setup = setup();
    assert_eq!(setup.run(&["migrate"]).status.code(), Some(0));
    let later = "INSERT INTO _sqlx_migrations VALUES (999, 'later', now(), TRUE, '', 0)";
    setup.database.execute(later).await;

    let service = setup.start();

    service.await_line("the warning", |line| line["level"] == "WARN" && line["version"] == 999);
}

#[tokio::test]
async fn replicas_that_start_at_once_migrate_once() {
    let database = Database::new();
    let steps = || {
        let step = |version, sql: &'static str| {
            Migration::new(version, "step".into(), MigrationType::Simple, sql.into_sql_str(), false)
        };
        Migrator::with_migrations(vec![
            step(1, "CREATE TABLE once (n int); INSERT INTO once VALUES (1)"),
            step(2, "SELECT pg_sleep(0.5); INSERT INTO once VALUES (2)"),
        ])
    };
    let replica = async || {
        let mut config = Config::default();
        config.database.url = database.url();
        config.database.max_connections = 2;
        // Shorter than the migration: a replica that loses the race tries again.
        config.database.lock_timeout = Duration::from_millis(100);
        db::open(&config, steps(), true).await
    };

    let opened = tokio::join!(replica(), replica(), replica(), replica());

    for replica in [opened.0, opened.1, opened.2, opened.3] {
        let rows: i64 =
            query_scalar("SELECT count(*) FROM once").fetch_one(&replica.unwrap().read).await.unwrap();
        assert_eq!(rows, 2);
    }
}

#[tokio::test]
async fn check_holds_the_replicas_against_the_limits_of_server_role_and_database() {
    let setup = setup().set("database.max_connections", "10").set("platform.replicas", "3");
    let mut connection = setup.database.connect().await;
    let mut limit = async |name: &'static str| {
        let limit = query_scalar("SELECT current_setting($1)::int").bind(name);
        let limit: i32 = limit.fetch_one(&mut connection).await.unwrap();
        limit
    };
    let (most, reserved) = (limit("max_connections").await, limit("superuser_reserved_connections").await);
    let report = check(&setup);
    let sum = "platform.replicas 3 × (database.max_connections 10 + 1) = 33";
    assert!(
        report.contains(&format!(
            "  ok       {sum} ≤ {} connections that the server has ({most} − {reserved} reserved)",
            most - reserved
        )),
        "{report}"
    );
    assert!(report.ends_with("database  ok\n"), "{report}");

    let (role, url) = setup.database.role().await;
    let limits = format!("ALTER ROLE {role} CONNECTION LIMIT 32; ALTER DATABASE {role} CONNECTION LIMIT 20");
    setup.database.execute(&limits).await;
    let report = check(&setup.set("database.url", &url));
    for limit in ["32 connections that the role may have", "20 connections that the database may have"] {
        assert!(report.contains(&format!("  advice   {sum} > {limit}")), "{report}");
    }
}

#[tokio::test]
async fn tls_is_verified_as_far_as_the_url_says() {
    let server = Server::start();
    let database = Database::on(&server);
    let mut admin = database.connect().await;
    // Inside the server's own folder, by its own user, who must own the key.
    let certificates = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=test-ca -keyout ca.key -out ca.crt \
        && openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr \
        && printf subjectAltName=DNS:localhost >san \
        && openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 1 -extfile san -out server.crt \
        && chmod 600 server.key";
    let make = format!("COPY (SELECT 1) TO PROGRAM '({certificates}) 2>/dev/null'");
    raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut admin).await.unwrap();
    raw_sql("ALTER SYSTEM SET ssl = on").execute(&mut admin).await.unwrap();
    raw_sql("SELECT pg_reload_conf()").execute(&mut admin).await.unwrap();
    let read = |file: &'static str| query_scalar::<_, String>("SELECT pg_read_file($1)").bind(file);
    let ca = read("ca.crt").fetch_one(&mut admin).await.unwrap();
    let of_nobody = read("server.crt").fetch_one(&mut admin).await.unwrap();

    let by_name = database.url().replace("127.0.0.1", "localhost");
    let report = |url: &str, parameters: &str| {
        let setup = setup().file("ca.crt", &ca).file("other.crt", &of_nobody);
        check(&setup.set("database.url", &url.replace('?', &format!("?{parameters}"))))
    };
    eventually("the server speaks TLS", || {
        report(&by_name, "sslmode=require").ends_with("database  ok\n").then_some(())
    });
    for (url, parameters, is_good) in [
        (by_name.as_str(), "sslmode=verify-full&sslrootcert=ca.crt", true),
        (&database.url(), "sslmode=verify-ca&sslrootcert=ca.crt", true),
        (&database.url(), "sslmode=verify-full&sslrootcert=ca.crt", false), // another name
        (&by_name, "sslmode=verify-full&sslrootcert=other.crt", false),
        (&by_name, "sslmode=verify-full", false), // nobody public has signed it
    ] {
        let report = report(url, parameters);
        assert_eq!(report.ends_with("database  ok\n"), is_good, "{parameters}: {report}");
        assert!(is_good || report.contains("Check sslmode, sslrootcert"), "{parameters}: {report}");
    }
}
