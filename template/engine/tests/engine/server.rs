//! Starting with a server that is late, wrong, small, newer, asked by several replicas, or spoken to in secret.

use std::time::Duration;

use longpole::internals::{IDENTITY, open_database};
use longpole::{Config, Migrations, Step, step};
use sqlx::{query_scalar, raw_sql};

use super::migrations::{count, migrate, migrate_with, says};
use super::start::refuses;
use crate::common::database::OnAServer;
use crate::common::{Database, PastTheService, Setup, eventually, setup};
use longpole_testing::Server;

fn check(setup: &Setup) -> String {
    let output = setup.run(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_start_waits_for_a_server_live_but_not_ready() {
    let mut server = Server::start();
    let database = Database::on(&server);
    server.stop();
    let service = setup().set("database.url", &database.url()).start_admin();
    service.await_line("it waits", |line| line["message"] == "waiting for the database");
    assert_eq!((service.ask("/livez").status, service.ask("/readyz").status), (200, 503));

    server.resume();

    eventually("ready", || (service.ask("/readyz").status == 200).then_some(()));
}

#[test]
fn a_server_that_does_not_come_ends_the_start() {
    let mut server = Server::start();
    let database = Database::on(&server);
    server.stop();
    let setup = setup().set("database.url", &database.url()).set("database.startup_timeout", "1s");
    refuses(setup, &["database.url", "refused", "database.startup_timeout, 1s"]);
}

#[test]
fn a_signal_ends_the_waiting() {
    let mut server = Server::start();
    let database = Database::on(&server);
    server.stop();
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
        (url.replace("/longpole_test_", "/hunter2_"), ["does not exist", "Create it"]),
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
    // A service without a schema of its own has made no such table.
    let later = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT,
            installed_on TIMESTAMPTZ, success BOOLEAN, checksum BYTEA, execution_time BIGINT);
        INSERT INTO _sqlx_migrations VALUES (999, 'later', now(), TRUE, '', 0)";
    setup.database.run(later).await;

    let service = setup.start();

    service.await_line("the warning", |line| line["level"] == "WARN" && line["version"] == 999);
}

#[tokio::test]
async fn replicas_that_start_at_once_migrate_once() {
    let database = Database::new();
    let steps = || {
        Migrations::new([
            step(1, "once", "CREATE TABLE once (n int); INSERT INTO once VALUES (1)"),
            step(2, "again", "SELECT pg_sleep(0.5); INSERT INTO once VALUES (2)"),
        ])
    };
    let replica = async || {
        let mut config = Config::default();
        config.database.url = database.url().into();
        config.database.max_connections = 2;
        // Shorter than the migration: a replica that loses the race tries again.
        config.database.lock_timeout = Duration::from_millis(100);
        open_database(&config, IDENTITY, steps(), true).await
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
    setup.database.run(&limits).await;
    let report = check(&setup.set("database.url", &url));
    for limit in ["32 connections that the role may have", "20 connections that the database may have"] {
        assert!(report.contains(&format!("  advice   {sum} > {limit}")), "{report}");
    }
}

/// From now on the server speaks TLS, with a certificate of an authority of its own.
pub async fn speak_tls(admin: &mut sqlx::PgConnection) {
    // Inside the server's own folder, by its own user, who must own the key.
    let certificates = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=test-ca -keyout ca.key -out ca.crt \
        && openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr \
        && printf subjectAltName=DNS:localhost >san \
        && openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 1 -extfile san -out server.crt \
        && chmod 600 server.key";
    let make = format!("COPY (SELECT 1) TO PROGRAM '({certificates}) 2>/dev/null'");
    raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut *admin).await.unwrap();
    raw_sql("ALTER SYSTEM SET ssl = on").execute(&mut *admin).await.unwrap();
    raw_sql("SELECT pg_reload_conf()").execute(&mut *admin).await.unwrap();
}

#[tokio::test]
async fn tls_is_verified_as_far_as_the_url_says() {
    let server = Server::start();
    let database = Database::on(&server);
    let mut admin = database.connect().await;
    speak_tls(&mut admin).await;
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

const CONCURRENTLY: &str = "CREATE INDEX CONCURRENTLY items_name ON items (name)";
const ITEMS: &str = "CREATE TABLE items (id int, name text); INSERT INTO items SELECT n, n::text FROM generate_series(1, 1000) n";
const VALID: &str = "SELECT count(*) FROM pg_index WHERE indexrelid = 'items_name'::regclass AND indisvalid";

fn steps(index: &'static str) -> [Step; 2] {
    [step(1, "items", ITEMS), step(2, "items_name", index).outside_transaction()]
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_build_an_index_beside_the_requests() {
    let database = Database::new();
    drop(migrate(&database, [step(1, "items", ITEMS)]).await.unwrap());
    // A report's snapshot, which the build waits for, longer than anything of the service may wait.
    let mut report = database.connect().await;
    raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM items")
        .execute(&mut report)
        .await
        .unwrap();
    let replica = || {
        migrate_with(&database, steps(CONCURRENTLY), |config| {
            config.database.lock_timeout = Duration::from_millis(100);
            config.database.statement_timeout = Duration::from_millis(200);
        })
    };
    let ends = async {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock'
            AND datname = current_database() AND now() - query_start > '400ms'";
        let mut admin = database.connect().await;
        while query_scalar::<_, i64>(waits).fetch_one(&mut admin).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        raw_sql("COMMIT").execute(&mut report).await.unwrap();
    };

    // The second one comes while the first is at it, and has noted that it has begun.
    let later = async {
        let begun = "SELECT count(*) FROM _sqlx_migrations WHERE version = 2 AND NOT success";
        let mut admin = database.connect().await;
        while query_scalar::<_, i64>(begun).fetch_one(&mut admin).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        replica().await
    };
    let (one, other, ()) = tokio::join!(replica(), later, ends);

    assert_eq!(count(&one.unwrap(), VALID).await, 1);
    drop(other.unwrap());
    let once: i64 = query_scalar("SELECT count(*) FROM _sqlx_migrations WHERE version = 2 AND success")
        .fetch_one(&mut database.connect().await)
        .await
        .unwrap();
    assert_eq!(once, 1);
}

#[tokio::test]
async fn an_index_that_was_not_built_to_its_end_is_named_and_never_counts_as_done() {
    let unique = "CREATE UNIQUE INDEX CONCURRENTLY items_name ON items (name)";
    let leaves_it = async |database: &Database| {
        // Two rows of one name: the build fails, and leaves its index behind.
        drop(migrate(database, [step(1, "items", ITEMS)]).await.unwrap());
        database.run("INSERT INTO items VALUES (0, '1')").await;
    };
    let cure = "DROP INDEX CONCURRENTLY public.items_name";
    let database = Database::new();
    leaves_it(&database).await;
    says(
        migrate(&database, steps(unique)).await,
        &["migration 2", "half done", "could not create unique", cure],
    );
    says(
        migrate(&database, steps(unique)).await,
        &["migration 2", "half done", cure, "DELETE FROM _sqlx_migrations"],
    );
    // As the message says.
    for mends in ["DELETE FROM items WHERE id = 0", cure, "DELETE FROM _sqlx_migrations WHERE version = 2"] {
        database.run(mends).await;
    }
    assert_eq!(count(&migrate(&database, steps(unique)).await.unwrap(), VALID).await, 1);

    // Left behind by somebody else, and taken for a good one by `IF NOT EXISTS`.
    let database = Database::new();
    leaves_it(&database).await;
    let mut by_hand = database.connect().await;
    raw_sql(unique).execute(&mut by_hand).await.unwrap_err();
    let if_not_exists = "CREATE INDEX CONCURRENTLY IF NOT EXISTS items_name ON items (name)";
    says(migrate(&database, steps(if_not_exists)).await, &["migration 2", "half done", cure]);
    // Another step has nothing to do with it.
    database.run("DELETE FROM _sqlx_migrations WHERE version = 2").await;
    let other = [step(1, "items", ITEMS), step(3, "column", "ALTER TABLE items ADD COLUMN n int")];
    drop(migrate(&database, other).await.unwrap());
}

#[tokio::test]
async fn the_lock_is_the_one_that_sqlx_takes() {
    use sqlx::migrate::Migrate;
    let database = Database::new();
    let mut other = database.connect().await;
    other.lock().await.unwrap();
    let waits = |config: &mut Config| config.database.startup_timeout = Duration::from_millis(1200);
    says(
        migrate_with(&database, [step(1, "items", ITEMS)], waits).await,
        &["another replica applies migrations", "startup_timeout"],
    );
    other.unlock().await.unwrap();
    drop(migrate_with(&database, [step(1, "items", ITEMS)], waits).await.unwrap());
}

#[tokio::test]
async fn a_lock_that_somebody_holds_is_not_called_a_network() {
    let database = Database::new();
    drop(migrate(&database, [step(1, "items", ITEMS)]).await.unwrap());
    let mut holder = database.connect().await;
    raw_sql("BEGIN; LOCK TABLE items").execute(&mut holder).await.unwrap();
    let column = step(2, "column", "ALTER TABLE items ADD COLUMN n int");
    let refused = migrate_with(&database, [step(1, "items", ITEMS), column], |config| {
        config.database.lock_timeout = Duration::from_millis(50);
        config.database.startup_timeout = Duration::from_millis(500);
    });
    let text = refused.await.unwrap_err().to_string();
    assert!(text.contains("migration 2 (column)") && text.contains("holds a lock"), "{text}");
    assert!(!text.contains("reached from here"), "{text}");
}

#[tokio::test]
async fn what_one_step_sets_does_not_hold_for_the_next() {
    let database = Database::new();
    let later = step(
        3,
        "later",
        "CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS lock_timeout, current_setting('search_path') AS path",
    );
    let [items, index] = steps("CREATE INDEX CONCURRENTLY items_name ON items (name)");
    let sets = step(4, "sets", "SET search_path = pg_catalog, public; SET lock_timeout = 0");
    let again = step(
        5,
        "again",
        "INSERT INTO seen SELECT current_setting('lock_timeout'), current_setting('search_path')",
    );
    let db = migrate(&database, [items, index, later, sets, again]).await.unwrap();
    let seen: Vec<(String, String)> =
        sqlx::query_as("SELECT lock_timeout, path FROM seen").fetch_all(&db.read).await.unwrap();
    let as_opened = ("2s".to_owned(), "\"$user\", public".to_owned());
    assert_eq!(seen, [as_opened.clone(), as_opened]);
}

#[tokio::test]
async fn what_a_newer_program_left_half_done_stops_no_older_one() {
    let database = Database::new();
    drop(migrate(&database, [step(1, "items", ITEMS)]).await.unwrap());
    database.run("INSERT INTO _sqlx_migrations VALUES (9, 'newer', now(), FALSE, '', 0)").await;

    drop(migrate(&database, [step(1, "items", ITEMS)]).await.unwrap());
}
