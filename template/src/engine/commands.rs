//! What do `NAME check` and `NAME migrate` do?

use std::error::Error;

use super::config::load::Loaded;
use super::config::report::without_secrets;
use super::db::{self, Migrations};
use super::shutdown::Exit;

/// Prints the configuration in force and what fits together. An absent database is a warning: the check
/// may run where there is none.
///
/// # Errors
/// None yet: a configuration that cannot work was refused when it was loaded.
pub fn check<A>(loaded: &Loaded<A>) -> Result<Exit, Box<dyn Error>> {
    print!("{}", loaded.report());
    match small_runtime()?.block_on(db::look(&loaded.config)) {
        Ok(notes) => {
            notes.iter().for_each(|note| println!("{note}"));
            println!("\ndatabase  ok");
        }
        Err(problem) => println!("\ndatabase  warning: {problem}"),
    }
    Ok(Exit::Clean)
}

/// Applies pending migrations.
///
/// # Errors
/// The database cannot be opened, or does not fit the `migrations`.
pub fn migrate<A>(loaded: &Loaded<A>, migrations: impl Into<Migrations>) -> Result<Exit, Box<dyn Error>> {
    let config = &loaded.config;
    small_runtime()?.block_on(async {
        db::open(config, migrations, true).await?.close().await;
        Ok::<_, db::Unusable>(())
    })?;
    println!("{} is up to date", without_secrets(&config.database.url));
    Ok(Exit::Clean)
}

fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
