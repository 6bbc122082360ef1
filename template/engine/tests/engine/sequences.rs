//! Whatever users do with a connection, in whatever order, and however they end: the pool is as it was, what was
//! answered is there, and what was not committed is not.
//!
//! Prints its seed; `SEED` repeats a run. `SEQUENCES` and `KILLS` say how many instead of a tenth of what `ci/soak`
//! runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, thread};

use futures_util::TryStreamExt;
use longpole::{Connection, Db, spawn};
use sqlx::{Executor, query, query_scalar, raw_sql};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::database::open_with;
use crate::common::{Database, PastTheService, WRITE, client, request, setup};

/// Sequences between two looks, and how many of them run side by side.
const BATCH: usize = 100;
const SIDE_BY_SIDE: usize = 5;
/// Statements of one user at most.
const LONGEST: usize = 8;

fn from_env(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn seeded() -> fastrand::Rng {
    let seed = env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// What must have become of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Gone,
    /// Its end was not answered.
    Unknown,
}

/// What all users have done, row by row.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<BTreeMap<i64, Fate>>>);

impl Rows {
    fn new_row(&self, fate: Fate) -> i64 {
        static NEXT: AtomicI64 = AtomicI64::new(1);
        let row = NEXT.fetch_add(1, SeqCst);
        self.0.lock().unwrap().insert(row, fate);
        row
    }

    fn are(&self, rows: &[i64], fate: Fate) {
        let mut known = self.0.lock().unwrap();
        known.extend(rows.iter().map(|row| (*row, fate)));
    }

    /// Forgets all, having compared them with what the database has.
    fn compare(&self, found: &BTreeSet<i64>) {
        let known = std::mem::take(&mut *self.0.lock().unwrap());
        for (row, fate) in &known {
            match fate {
                Fate::Kept => assert!(found.contains(row), "row {row} was answered and is not there"),
                Fate::Gone => assert!(!found.contains(row), "row {row} was never committed and is there"),
                Fate::Unknown => {}
            }
        }
        assert!(found.iter().all(|row| known.contains_key(row)), "a row that nobody wrote: {found:?}");
    }
}

/// One user of one connection.
struct User {
    rows: Rows,
    rng: fastrand::Rng,
    /// Rows of the transaction that was begun by hand, if one is open.
    by_hand: Option<Vec<i64>>,
    failed: bool,
}

impl User {
    async fn use_the_pool(mut self, db: Db) -> Result<(), sqlx::Error> {
        match self.rng.u8(..4) {
            0 => self.on_the_pool(&db).await,
            1 => self.in_a_transaction(&db).await,
            _ => {
                let mut connection = db.write.acquire().await?;
                for _ in 0..self.rng.usize(1..=LONGEST) {
                    self.step(&mut connection).await?;
                }
                Ok(())
            }
        }
    }

    async fn on_the_pool(&mut self, db: &Db) -> Result<(), sqlx::Error> {
        let row = self.rows.new_row(Fate::Unknown);
        query("INSERT INTO t VALUES ($1)").bind(row).execute(&db.write).await?;
        self.rows.are(&[row], Fate::Kept);
        if self.rng.bool() {
            let begin = if self.rng.bool() { "BEGIN" } else { "SELECT 1; BEGIN" };
            raw_sql(begin).execute(&db.write).await?;
        }
        Ok(())
    }

    async fn in_a_transaction(&mut self, db: &Db) -> Result<(), sqlx::Error> {
        let mut transaction = db.write.begin().await?;
        let mut rows = Vec::new();
        for _ in 0..self.rng.usize(0..4) {
            let row = self.rows.new_row(Fate::Gone);
            query("INSERT INTO t VALUES ($1)").bind(row).execute(&mut *transaction).await?;
            rows.push(row);
        }
        match self.rng.u8(..4) {
            0 => return Ok(()),
            1 => panic!("on purpose"),
            2 => {
                self.failed =
                    query("INSERT INTO nowhere VALUES (1)").execute(&mut *transaction).await.is_err()
            }
            _ => {}
        }
        self.rows.are(&rows, Fate::Unknown);
        if transaction.commit().await.is_ok() {
            self.rows.are(&rows, Fate::Kept);
        }
        Ok(())
    }

    async fn step(&mut self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        match self.rng.u8(..12) {
            0..3 => self.insert(connection).await?,
            3 => {
                drop(query("INSERT INTO nowhere VALUES (1)").execute(&mut *connection).await.map_err(|_| {
                    self.failed = self.by_hand.is_some();
                }))
            }
            4 if self.by_hand.is_none() => {
                self.by_hand = Some(Vec::new()); // from the moment that it may be open
                raw_sql("BEGIN").execute(&mut *connection).await?;
            }
            5 if self.by_hand.is_none() && WRITE == "write" => {
                self.by_hand = Some(Vec::new());
                raw_sql("SAVEPOINT here").execute(&mut *connection).await?;
            }
            6 => {
                if let Some(rows) = self.by_hand.take() {
                    // What a COMMIT does after a failed statement depends on the database.
                    self.rows.are(&rows, Fate::Unknown);
                    raw_sql("COMMIT").execute(&mut *connection).await?;
                    if !self.failed {
                        self.rows.are(&rows, Fate::Kept);
                    }
                    self.failed = false;
                }
            }
            7 => {
                if self.by_hand.take().is_some() {
                    raw_sql("ROLLBACK").execute(&mut *connection).await?;
                    self.failed = false;
                }
            }
            8 => {
                // Read a part, and leave the rest.
                let mut rows = query_scalar::<_, i64>("SELECT n FROM t").fetch(&mut *connection);
                for _ in 0..self.rng.u8(..3) {
                    if rows.try_next().await?.is_none() {
                        break;
                    }
                }
            }
            9 => drop((&mut *connection).prepare(sqlx::SqlStr::from_static("SELECT n FROM t")).await?),
            10 if self.rng.u8(..4) == 0 => panic!("on purpose"),
            10 if self.rng.u8(..4) == 0 && WRITE == "main" => {
                raw_sql("SET search_path = pg_catalog, public").execute(&mut *connection).await?;
            }
            _ => {
                query("SELECT 1").execute(&mut *connection).await?;
            }
        }
        Ok(())
    }

    async fn insert(&mut self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        let fate = if self.by_hand.is_some() { Fate::Gone } else { Fate::Unknown };
        let row = self.rows.new_row(fate);
        query("INSERT INTO t VALUES ($1)").bind(row).execute(connection).await?;
        match &mut self.by_hand {
            Some(rows) => rows.push(row),
            None => self.rows.are(&[row], Fate::Kept),
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_sequence_leaves_the_pool_as_it_was() {
    let mut rng = seeded();
    let sequences = from_env("SEQUENCES", 1_000);
    let connections = 2;
    let (db, database) = open_with(|config| config.database.max_connections = connections).await;
    let rows = Rows::default();
    // Panics on purpose say nothing.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some("on purpose") {
            before(panic);
        }
    }));

    for batch in 0..sequences.div_ceil(BATCH) {
        for _ in 0..BATCH / SIDE_BY_SIDE {
            let users: Vec<_> = (0..SIDE_BY_SIDE)
                .map(|_| {
                    let user = User { rows: rows.clone(), rng: rng.fork(), by_hand: None, failed: false };
                    let patience = rng.bool().then(|| Duration::from_micros(rng.u64(..3_000)));
                    let sequence = user.use_the_pool(db.clone());
                    spawn(async move {
                        match patience {
                            // Its client leaves.
                            Some(patience) => drop(timeout(patience, sequence).await),
                            None => drop(sequence.await),
                        }
                    })
                })
                .collect();
            for user in users {
                let _ = user.await; // some panic
            }
        }
        look(&db, &database, &rows, connections, batch).await;
    }
}

async fn look(db: &Db, database: &Database, rows: &Rows, connections: u32, batch: usize) {
    // Every permit is there, and none of the connections is in a transaction.
    let held = if WRITE == "main" { connections } else { 1 };
    let mut all = Vec::new();
    for _ in 0..held {
        let connection = timeout(Duration::from_secs(20), db.write.acquire()).await;
        all.push(connection.unwrap_or_else(|_| panic!("a permit is lost in batch {batch}")).unwrap());
    }
    for connection in &mut all {
        // Where a transaction within another is not refused, the question below finds it.
        raw_sql("BEGIN").execute(&mut *connection).await.unwrap();
        raw_sql("ROLLBACK").execute(&mut *connection).await.unwrap();
    }
    let mut past_the_pool = database.connect().await;
    if WRITE == "main" {
        let open: i64 = query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()",
        )
        .fetch_one(&mut past_the_pool)
        .await
        .unwrap();
        assert_eq!(open, 0, "open transactions in batch {batch}");
    }
    let found: Vec<i64> = query_scalar("SELECT n FROM t").fetch_all(&mut past_the_pool).await.unwrap();
    rows.compare(&found.into_iter().collect());
    query("DELETE FROM t").execute(&mut past_the_pool).await.unwrap();
}

/// How two rows are written; the last does not commit.
const HOW: [&str; 4] = ["plain", "transaction", "by-hand", "left-open"];

#[test]
fn a_process_that_is_killed_has_kept_what_it_answered_and_nothing_else() {
    const CLIENTS: usize = 4;
    let mut rng = seeded();
    let database = Database::new();
    database.execute("CREATE TABLE drill (n BIGINT)");
    let next = AtomicI64::new(1);
    let answered = Mutex::new(BTreeSet::new());
    for _ in 0..from_env("KILLS", 20) {
        let service =
            setup().set("database.url", &database.url()).set("database.max_connections", "4").start();
        let how_long = Duration::from_micros(rng.u64(..60_000));
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(2, SeqCst);
                        let how = HOW[n as usize / 2 % HOW.len()];
                        let asked = request("GET", &format!("/drill/write/{how}/{n}"), &[], b"");
                        // A client that finds no service any more ends.
                        let Some(mut stream) = client::try_open(service.public, &asked) else { return };
                        let Some(answer) = client::read(&mut stream) else { return };
                        if answer.status == 200 && how != "left-open" {
                            answered.lock().unwrap().insert(n);
                        }
                    }
                });
            }
            thread::sleep(how_long); // at any moment
            service.signal("KILL");
        });
        drop(service);
    }
    // In one look: a server may still be at what a lost connection has asked for.
    let numbers = Runtime::new().unwrap().block_on(database.numbers("SELECT n FROM drill"));
    let found: BTreeSet<i64> = numbers.into_iter().collect();
    let answered = answered.into_inner().unwrap();
    assert!(answered.len() > 20, "{} answers", answered.len());
    assert!(answered.is_subset(&found), "answered and not there: {:?}", answered.difference(&found));
    for n in &found {
        let first = n - (n + 1) % 2;
        assert!(found.contains(&first) && found.contains(&(first + 1)), "{first} is half there");
        assert_ne!(HOW[first as usize / 2 % HOW.len()], "left-open", "{first} was never committed");
    }
}
