//! On which server are databases made and dropped, and what does a run find there that another run has left behind?

use std::env;
use std::sync::OnceLock;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::super::blocking::wait;
use super::name;
use super::server::Server;

/// A server on which tests make databases.
#[derive(Clone, Debug)]
pub struct Home {
    pub url: String,
    /// Whether the server is still there when the tests have ended. Then each database has to be dropped.
    pub stays: bool,
}

impl Home {
    /// The server that `DATABASE_URL` names. Without this variable, a server is started for the whole test program.
    pub fn of_all_tests() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        static HOME: OnceLock<Home> = OnceLock::new();
        HOME.get_or_init(|| match env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()) {
            Some(url) => {
                if let Some(parameter) = place_in(&url) {
                    panic!("DATABASE_URL: write `{parameter}` before the `?`, where each test puts its own");
                }
                let home = Self { url, stays: true };
                home.remove_what_was_left_behind();
                home
            }
            None => Self::of_test(SERVER.get_or_init(Server::start).url.clone()),
        })
    }

    /// A server that ends with its test.
    pub fn of_test(url: String) -> Self {
        Self { url, stays: false }
    }

    /// The URL of the database with this name. It always has a `?`.
    pub fn url_of(&self, name: &str) -> String {
        let (server, _) = parts(&self.url);
        format!("{server}/{name}?{}", self.url.split_once('?').map_or("", |(_, parameters)| parameters))
    }

    /// Runs each of these statements by itself, since `CREATE DATABASE` and `DROP DATABASE` refuse to run with another one.
    pub fn execute(&self, statements: &[&str]) -> Result<(), sqlx::Error> {
        wait(async || {
            let mut connection = PgConnection::connect(&self.url).await?;
            for statement in statements {
                sqlx::raw_sql(AssertSqlSafe(*statement)).execute(&mut connection).await?;
            }
            connection.close().await
        })
    }

    /// Drops a database, and the role with the same name, if the server stays. A `Drop` calls this, maybe during a panic,
    /// and a second panic would end the whole test program. So this function only prints its error.
    pub fn remove(&self, name: &str) {
        if self.stays
            && let Err(error) = self.execute(&drops(name).each_ref().map(String::as_str))
        {
            eprintln!("the test's database {name} stays on its server: {error}");
        }
    }

    /// Another run may remove the same databases at the same time. So an error means nothing here.
    fn remove_what_was_left_behind(&self) {
        let names = "SELECT datname::text FROM pg_database UNION SELECT rolname::text FROM pg_roles";
        let names: Result<Vec<String>, _> = wait(async || {
            let mut connection = PgConnection::connect(&self.url).await?;
            let names = sqlx::query_scalar(names).fetch_all(&mut connection).await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(names)
        });
        for name in names.unwrap_or_default().iter().filter(|name| name::is_left_behind(name)) {
            let _ = self.execute(&drops(name).each_ref().map(String::as_str));
        }
    }
}

fn drops(name: &str) -> [String; 2] {
    [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("DROP ROLE IF EXISTS {name}")]
}

/// The parameter that wins over the address and the name before the `?`, if the URL has such a parameter. With it, all tests
/// would share one database.
fn place_in(url: &str) -> Option<&str> {
    let (_, parameters) = url.split_once('?')?;
    let names = parameters.split('&').filter_map(|it| it.split('=').next());
    names.into_iter().find(|name| ["dbname", "host", "hostaddr", "port"].contains(name))
}

/// The part of a URL up to its host and port, and the name of its database.
pub fn parts(url: &str) -> (&str, &str) {
    let (path, _) = url.split_once('?').unwrap_or((url, ""));
    let host = path.find("://").map_or(0, |scheme| scheme + "://".len());
    path[host..].find('/').map_or((path, ""), |slash| (&path[..host + slash], &path[host + slash + 1..]))
}

#[cfg(test)]
mod tests {
    use super::super::Database;
    use super::super::name;
    use super::*;

    /// A server that stays when the tests have ended, and one that ends with this test.
    fn home() -> (Server, Home) {
        let server = Server::start();
        let home = Home { url: server.url.clone(), stays: true };
        (server, home)
    }

    fn of(home: &Home) -> Database {
        let mut database = Database::later(None);
        database.home = Some(home.clone());
        database
    }

    fn names(home: &Home) -> Vec<String> {
        wait(async || {
            let mut connection = PgConnection::connect(&home.url).await.unwrap();
            let names = "SELECT datname::text FROM pg_database UNION SELECT rolname::text FROM pg_roles";
            let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut connection).await.unwrap();
            names.into_iter().filter(|it| it.starts_with(name::PREFIX)).collect()
        })
    }

    #[test]
    fn nothing_is_left_on_a_server_that_stays() {
        let (_server, home) = home();
        let mut copies = [of(&home), of(&home)];
        let mut migrations = 0;
        for copy in &mut copies {
            copy.fill("key", |url| {
                migrations += 1;
                wait(async || {
                    let mut connection = PgConnection::connect(url).await.unwrap();
                    sqlx::raw_sql("CREATE TABLE t (n INT)").execute(&mut connection).await.unwrap();
                });
            });
            copy.execute("INSERT INTO t VALUES (1)");
            assert_eq!(copy.count("SELECT count(*) FROM t"), 1);
        }
        assert_eq!(migrations, 1);
        home.execute(&[&format!("CREATE ROLE {}", copies[0].name())]).unwrap();
        assert_eq!(names(&home).len(), 3, "two copies and the template; the role has the name of a copy");

        let [one, other] = copies;
        drop(one);
        assert_eq!(names(&home).len(), 2);
        drop(other);
        assert_eq!(names(&home), Vec::<String>::new());
    }

    #[test]
    fn what_a_killed_run_has_left_is_removed_and_what_another_run_uses_is_not() {
        let (_server, home) = home();
        let (old, new) = (format!("{}1000_1_0a0b0c0d_0", name::PREFIX), name::new());
        for name in [&old, &new] {
            home.execute(&[&format!("CREATE DATABASE {name}"), &format!("CREATE ROLE {name}")]).unwrap();
        }

        home.remove_what_was_left_behind();

        assert_eq!(names(&home), [new]);
    }

    #[test]
    fn a_database_that_cannot_be_dropped_is_no_panic() {
        let (mut server, home) = home();
        let database = of(&home);
        database.url();
        server.stop();
        drop(database);
    }

    #[test]
    fn another_address_takes_the_place_of_the_host_alone() {
        let addr = "127.0.0.1:7".parse().unwrap();
        for (url, there) in [
            (
                "postgres://postgres:pw@postgres/db?a=postgres",
                "postgres://postgres:pw@127.0.0.1:7/db?a=postgres",
            ),
            ("postgres://dbuser@db:5432/x?", "postgres://dbuser@127.0.0.1:7/x?"),
            ("postgres://h/h?", "postgres://127.0.0.1:7/h?"),
        ] {
            let mut database = Database::later(None);
            database.home = Some(Home { url: url.to_owned(), stays: false });
            database.url.set(url.to_owned()).unwrap();
            assert_eq!(database.url_at(addr), there);
        }
    }

    #[test]
    fn a_parameter_that_decides_the_place_is_found() {
        assert_eq!(place_in("postgres://h/d?sslmode=disable&dbname=app"), Some("dbname"));
        assert_eq!(place_in("postgres://h/d?host=/run/postgresql"), Some("host"));
        assert_eq!(place_in("postgres://h/dbname=x?options=-c%20a"), None);
    }

    #[test]
    fn a_url_may_have_any_shape() {
        for (url, there) in [
            ("postgres://u:p@h:1/d?sslmode=disable", "postgres://u:p@h:1/n?sslmode=disable"),
            ("postgres://u:p@h:1/d", "postgres://u:p@h:1/n?"),
            ("postgres://h", "postgres://h/n?"),
            ("postgres://h?options=/a", "postgres://h/n?options=/a"),
        ] {
            assert_eq!(Home { url: url.to_owned(), stays: false }.url_of("n"), there);
        }
    }
}
