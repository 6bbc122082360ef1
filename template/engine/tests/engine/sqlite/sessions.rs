//! What may a connection do, and what is left of its user?

use longpole::Trouble;
use sqlx::query;

use super::super::database::open;

#[tokio::test]
async fn readers_cannot_write() {
    let (db, _database) = open().await;

    let refused = query("INSERT INTO t VALUES (1)").execute(&db.read).await.unwrap_err();

    assert!(refused.to_string().contains("readonly"), "{refused}");
    assert_eq!(Trouble::of(&refused), Trouble::Refused);
}

#[tokio::test]
async fn temporary_tables_pragmas_and_attached_files_reach_nobody_else() {
    let (db, database) = open().await;
    for change in [
        "CREATE TEMP TABLE t (n)",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA query_only(1)",
        "ATTACH ':memory:' AS other; CREATE TABLE other.t (n)",
    ] {
        let mut connection = db.write.acquire().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(&mut connection).await.unwrap();
        drop(connection);
        query("INSERT INTO t VALUES (1)").execute(&db.write).await.unwrap();
        let on: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&db.write).await.unwrap();
        let databases = sqlx::query("PRAGMA database_list").fetch_all(&db.write).await.unwrap().len();
        assert_eq!((on, databases), (1, 1), "{change}");
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM t")
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
        assert_eq!(kept, 1, "{change}: in the file");
        query("DELETE FROM t").execute(&db.write).await.unwrap();
    }
}
