//! What is the database allowed to cost? Here are the limits of the database that this build has.

#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
pub use self::postgres::DatabaseConfig;
#[cfg(feature = "sqlite")]
pub use self::sqlite::DatabaseConfig;

/// How many connections the pools may have together, and the sum behind that number.
fn of_the_pools(ours: u32, of_sqlx: u32) -> (u64, String) {
    let and_sqlx = match of_sqlx {
        0 => String::new(),
        of_sqlx => format!(" + database.sqlx_pool_connections {of_sqlx}"),
    };
    (u64::from(ours) + u64::from(of_sqlx), format!("database.max_connections {ours}{and_sqlx}"))
}
