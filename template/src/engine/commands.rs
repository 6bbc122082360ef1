//! What do `NAME check` and `NAME migrate` do?

use std::error::Error;

use sqlx::migrate::Migrator;

use super::config::load::Loaded;
use super::config::report::without_secrets;
use super::db;
use super::shutdown::Exit;

/// Prints the configuration in force and what fits together. An absent database is a warning: the check
/// may run where there is none.
///
/// # Errors
/// None yet: a configuration that cannot work was refused when it was loaded.
pub fn check<A>(loaded: &Loaded<A>) -> Result<Exit, Box<dyn Error>> {
    println!("{}", loaded.report());
    match small_runtime()?.block_on(db::look(&loaded.config.database)) {
        Ok(()) => println!("database  ok"),
        Err(problem) => println!("database  warning: {problem}"),
    }
    Ok(Exit::Clean)
}

/// Applies pending migrations.
///
/// # Errors
/// The database cannot be opened, or does not fit the `migrations`.
pub fn migrate<A>(loaded: &Loaded<A>, migrations: &Migrator) -> Result<Exit, Box<dyn Error>> {
    let config = &loaded.config.database;
    small_runtime()?.block_on(async {
        let db = db::open(config).await?;
        db.migrate(migrations, true).await?;
        db.close().await;
        Ok::<_, db::Unusable>(())
    })?;
    println!("{} is up to date", without_secrets(&config.url));
    Ok(Exit::Clean)
}

fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
