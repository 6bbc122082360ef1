//! What if another process holds the lock of the file?

use std::thread;
use std::time::{Duration, Instant};

use longpole::{Problem, Trouble};
use sqlx::{Executor, query};

use super::super::database::open_with;
use crate::common::{PastTheService, WRITE, eventually, setup};

#[tokio::test]
async fn the_start_waits_for_a_lock_and_a_signal_ends_the_waiting() {
    let setup = setup().set("database.lock_timeout", "1ms");
    let mut holder = setup.database.connect().await;
    holder.execute("BEGIN EXCLUSIVE").await.unwrap();
    let mut service = setup.start_admin();
    assert_eq!(service.ask("/readyz").text(), "starting\n");
    assert_eq!(service.ask("/livez").status, 200);
    service.await_line("it waits", |line| line["message"] == "waiting for the database");

    service.signal("TERM");

    assert_eq!(service.wait(), 0);
}

#[tokio::test]
async fn a_lock_that_goes_lets_the_start_go_on_and_one_that_stays_does_not() {
    let setup = setup().set("database.lock_timeout", "1ms");
    let mut holder = setup.database.connect().await;
    holder.execute("BEGIN EXCLUSIVE").await.unwrap();
    let impatient = crate::common::setup().set("database.url", &setup.database.url());
    // sqlx tries for two seconds by itself to get past the lock.
    let refused =
        impatient.set("database.lock_timeout", "1ms").set("database.startup_timeout", "3s").run(&[]);
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("locked") && stderr.contains("database.startup_timeout, 3s"), "{stderr}");

    let service = setup.start_admin();
    service.await_line("it waits", |line| line["message"] == "waiting for the database");
    holder.execute("ROLLBACK").await.unwrap();

    eventually("ready", || (service.ask("/readyz").status == 200).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_stays_under_load_costs_503s_and_no_permit() {
    let service =
        setup().set("database.lock_timeout", "200ms").set("database.acquire_timeout", "500ms").start();
    service.database.run("CREATE TABLE drill (n INTEGER)").await;
    let insert = || service.get("/drill/insert").status;
    assert_eq!(insert(), 200);

    for _ in 0..3 {
        let mut holder = service.database.connect().await;
        holder.execute("BEGIN EXCLUSIVE").await.unwrap();
        let (mut statuses, begun) = (Vec::new(), Instant::now());
        thread::scope(|scope| {
            let clients: Vec<_> = (0..8).map(|_| scope.spawn(insert)).collect();
            statuses.extend(clients.into_iter().map(|client| client.join().unwrap()));
        });
        assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(service.ask("/livez").status, 200);

        holder.execute("ROLLBACK").await.unwrap();
        eventually("a good answer", || (insert() == 200).then_some(()));
    }
    let in_use = [("pool", WRITE), ("state", "in_use")];
    service.await_metric("db_pool_connections", &in_use, |n| n == 0.0);
}

#[tokio::test]
async fn a_lock_of_another_process_is_a_503() {
    let (db, database) = open_with(|config| config.database.lock_timeout = Duration::from_millis(1)).await;
    let lock = database.lock();

    let busy = query("INSERT INTO t VALUES (1)").execute(&db.write).await.unwrap_err();

    assert_eq!(Trouble::of(&busy), Trouble::Busy, "{busy}");
    assert_eq!(Problem::from(busy).status(), 503);
    drop(lock);
    query("INSERT INTO t VALUES (1)").execute(&db.write).await.unwrap();
}
