//! What do `NAME check` and `NAME migrate` do?

use std::error::Error;
use std::io;

use tokio::runtime::Builder;

use super::config::load::Loaded;
use super::config::report::without_secrets;
use super::db::{self, Migrations};
use super::shutdown::Exit;
use super::terminal;

/// Prints the configuration in force and what fits together. An absent database is a warning: the check
/// may run where there is none.
///
/// # Errors
/// None yet: a configuration that cannot work was refused when it was loaded.
pub fn check<A>(loaded: &Loaded<A>) -> Result<Exit, Box<dyn Error + Send + Sync>> {
    terminal::print(loaded.report());
    match run(db::look(&loaded.config))? {
        Ok(notes) => {
            notes.iter().for_each(|note| terminal::print(format_args!("{note}\n")));
            terminal::print("\ndatabase  ok\n");
        }
        Err(problem) => terminal::print(format_args!("\ndatabase  warning: {problem}\n")),
    }
    Ok(Exit::Clean)
}

/// Applies pending migrations.
///
/// # Errors
/// The database cannot be opened, or does not fit the `migrations`.
pub fn migrate<A>(
    loaded: &Loaded<A>,
    migrations: impl Into<Migrations>,
) -> Result<Exit, Box<dyn Error + Send + Sync>> {
    let config = &loaded.config;
    run(async {
        db::open(config, migrations, true).await?.close().await;
        Ok::<_, db::Unusable>(())
    })??;
    terminal::print(format_args!("{} is up to date\n", without_secrets(&config.database.url)));
    Ok(Exit::Clean)
}

/// On a runtime of its own. A blocking call that hangs does not hold up the end: a resolver, say.
fn run<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(outcome)
}
