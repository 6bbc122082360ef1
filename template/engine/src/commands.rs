//! What do `NAME check` and `NAME migrate` do?

use std::error::Error;
#[cfg(feature = "_database")]
use std::io;

#[cfg(feature = "_database")]
use tokio::runtime::Builder;

use super::config::Note;
use super::config::load::Loaded;
#[cfg(feature = "_database")]
use super::db::{self, Migrations};
use super::identity::Identity;
use super::shutdown::Exit;
use super::{release, terminal};

/// Prints the configuration in force, and whether its values fit together. If the database does not answer, that is
/// only a warning, since the check may run where there is no database.
///
/// # Errors
/// The system refuses what a runtime needs. A configuration that cannot work does not get here: loading has refused it.
#[cfg_attr(not(feature = "_database"), expect(unused_variables, reason = "only a database is told who asks"))]
pub fn check(identity: Identity, loaded: &Loaded) -> Result<Exit, Box<dyn Error + Send + Sync>> {
    terminal::print(loaded.report());
    release::profile().for_each(|advice| terminal::print(format_args!("{}\n", Note::Advice(advice))));
    #[cfg(feature = "_database")]
    match run(db::look(&loaded.config, identity))? {
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
#[cfg(feature = "_database")]
pub fn migrate(
    identity: Identity,
    loaded: &Loaded,
    migrations: Option<Migrations>,
) -> Result<Exit, Box<dyn Error + Send + Sync>> {
    let config = &loaded.config;
    let outcome = match migrations {
        Some(_) => "is up to date",
        None => "is left as it is: this program has no migrations",
    };
    run(async {
        db::open(config, identity, migrations, true).await?.close().await;
        Ok::<_, db::Unusable>(())
    })??;
    terminal::print(format_args!("{} {outcome}\n", config.database.url));
    Ok(Exit::Clean)
}

/// Runs `work` on a runtime of its own. A blocking call that hangs, such as name resolution, does not hold up the end.
#[cfg(feature = "_database")]
fn run<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(outcome)
}
