//! What is made of the URL, and when is it refused?

use std::time::Duration;

use sqlx::query_scalar;

use super::super::database::open_with;
use super::super::start::never_works;
use crate::common::database::OnAServer;
use crate::common::{Database, PastTheService, setup};
use longpole_testing::Proxy;

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
    let slow = database.url_at(proxy.addr).replace('?', "?connect_timeout=1&");
    let setup = setup().set("database.url", &slow).set("database.startup_timeout", "1800ms");

    let output = setup.run(&["migrate"]);

    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("in time"), "{stderr}");
}
