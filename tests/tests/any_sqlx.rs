//! Does a service work with all of sqlx: with its macros, beside crates that enable its default features, and with crates
//! that want a pool of sqlx's own?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use longpole_tests::generate::{NEWEST, generate};
use longpole_tests::postgres::Postgres;
use longpole_tests::process::{PATIENCE, poll, run};
use longpole_tests::service::{Running, ask, cargo, start};
use longpole_tests::{check_variables, place, repo, sqlx_cli, target_dir};

/// Generates a service, adds dependencies and modules to it, and returns its folder.
fn generated(name: &str, database: &str, dependencies: &str, modules: &[&str]) -> PathBuf {
    let service = generate(NEWEST, name, &place(name)).answer("database", database).done();
    change(&service.join("Cargo.toml"), &[("[dependencies]\n", &format!("[dependencies]\n{dependencies}"))]);
    for module in modules {
        let path = format!("{module}.rs");
        fs::copy(repo().join("tests/overlay").join(&path), service.join("src/app").join(&path)).unwrap();
    }
    let mods: String = modules.iter().map(|module| format!("mod {module};\n")).collect();
    change(
        &service.join("src/app/mod.rs"),
        &[
            ("mod settings;\n", &format!("{mods}mod settings;\n")),
            (".merge(hello::routes())", ".merge(hello::routes()).merge(checked::routes())"),
        ],
    );
    run(cargo(&service).args(["metadata", "--format-version", "1"]).stdout(std::process::Stdio::null()));
    service
}

fn change(file: &Path, changes: &[(&str, &str)]) {
    let mut text = fs::read_to_string(file).unwrap();
    for (before, after) in changes {
        assert_eq!(text.matches(before).count(), 1, "{before} in {}", file.display());
        text = text.replace(before, after);
    }
    fs::write(file, text).unwrap();
}

/// Writes `.sqlx` as the docs say.
fn prepare(service: &Path) {
    run(cargo(service).arg("fmt"));
    succeeds(&script(service, "ci/queries", &[], None));
    assert_eq!(fs::read_dir(service.join(".sqlx")).unwrap().count(), 5);
}

/// Runs one of the service's own scripts, with sqlx-cli at hand.
fn script(service: &Path, script: &str, arguments: &[&str], database_url: Option<&str>) -> Output {
    let mut command = Command::new(service.join(script));
    command.args(arguments).envs(check_variables()).env_remove("DATABASE_URL").env_remove("SQLX_OFFLINE");
    if let Some(url) = database_url {
        command.env("DATABASE_URL", url);
    }
    // The path of `check_variables` is the one of this process with `cargo unblock` before it.
    let path = check_variables().into_iter().find(|(name, _)| *name == "PATH").unwrap().1;
    let both =
        std::env::join_paths(std::env::split_paths(&sqlx_cli::path()).chain(std::env::split_paths(&path)));
    command.env("PATH", both.unwrap()).output().unwrap()
}

fn succeeds(output: &Output) {
    let said = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// Builds without a database: neither a variable nor a file names one.
fn build_offline(service: &Path) -> PathBuf {
    run(cargo(service).args(["build", "--locked"]).env_remove("DATABASE_URL").env_remove("SQLX_OFFLINE"));
    target_dir().join("debug").join(service.file_name().unwrap())
}

/// Sends a request whose handler runs checked queries. They have to be measured as other queries are.
fn asks_with_checked_queries(running: &Running) {
    let url = |path: &str| format!("http://{}{path}", running.public);
    let json = [("content-type", "application/json")];
    assert_eq!(ask("POST", &url("/items"), &json, r#"{"name": "first"}"#).status(), 201);
    let queries = || sum(running, "db_query_seconds_count");
    let before = queries();

    let answer = ask("GET", &url("/checked/1"), &[], "");

    assert_eq!(answer.body(), r#"[{"id":1,"name":"first"},"first",2]"#, "{answer:?}");
    assert!(queries() >= before + 5.0, "five statements, and the begin and the end of the transaction");
    // Whether the line of the request has `db_query` depends on how soon the database answers: `tests/existing.rs` makes it slow.
    assert!(sum(running, "db_query_seconds_sum") > 0.0);
}

fn metrics(running: &Running) -> String {
    ask("GET", &format!("http://{}/metrics", running.admin), &[], "").into_body()
}

/// The sum of all series of a metric.
fn sum(running: &Running, name: &str) -> f64 {
    let text = metrics(running);
    let series =
        text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    series.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

/// A query that was changed, and is not in `.sqlx` as it is now.
fn a_stale_folder_is_noticed(service: &Path, database_url: Option<&str>) {
    let before = "SELECT version FROM items WHERE id = $1";
    change(&service.join("src/app/checked.rs"), &[(before, "SELECT id, version FROM items WHERE id = $1")]);
    let check = script(service, "ci/check", &[], database_url);
    let said = [check.stdout, check.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!check.status.success(), "{said}");
    assert!(said.contains(".sqlx is missing one or more queries"), "{said}");
    let build = cargo(service).args(["build", "--locked"]).env_remove("DATABASE_URL").output().unwrap();
    assert!(!build.status.success());
    assert!(String::from_utf8_lossy(&build.stderr).contains("run `cargo sqlx prepare`"));
}

/// `apalis-sqlite` enables sqlx's macros, and has checked queries of its own.
const OF_SQLITE: &str = "apalis-sqlite = \"=1.0.0\"\naxum_session = \"=0.22.1\"\n\
    axum_session_sqlx = { version = \"=0.12.0\", default-features = false, features = [\"sqlite\"] }\n";

#[test]
fn a_service_on_sqlite_has_checked_queries_and_a_store_of_sessions() {
    let service = generated("any-sqlite", "sqlite", OF_SQLITE, &["checked", "sessions"]);
    let app = service.join("src/app/mod.rs");
    change(
        &app,
        &[
            (
                "pub fn start(links: &Links, settings: &Settings) -> Router {",
                "pub async fn start(links: &Links, settings: &Settings) -> Result<Router, Box<dyn std::error::Error + Send + Sync>> {",
            ),
            (
                "    routes.merge(quote::routes()).merge(digest::routes()).with_state(app)\n",
                "    let routes = routes.merge(quote::routes()).merge(digest::routes()).with_state(app);\n    Ok(routes.merge(sessions::routes(links).await?))\n",
            ),
        ],
    );
    prepare(&service);
    let program = build_offline(&service);
    let mut running = start(&program, &[("APP__DATABASE__SQLX_POOL_CONNECTIONS", "3")]);
    asks_with_checked_queries(&running);
    has_a_session(&running, &program);
    running.terminate();
    assert_eq!(running.wait().code(), Some(0), "{:?}", running.log());
    let closed = |line: &serde_json::Value| line["message"] == "shutdown: sqlx's own pool closed";
    assert!(running.log().iter().any(closed), "{:?}", running.log());
    succeeds(&script(&service, "ci/queries", &["--check"], None));
    a_stale_folder_is_noticed(&service, None);
}

fn has_a_session(running: &Running, program: &Path) {
    let visits =
        |cookies: &str| ask("GET", &format!("http://{}/visits", running.public), &[("cookie", cookies)], "");
    let first = visits("");
    assert_eq!((first.status().as_u16(), first.body().as_str()), (200, "1"));
    let cookies: Vec<_> = first.headers().get_all("set-cookie").iter().collect();
    let cookies: Vec<_> = cookies.iter().map(|it| it.to_str().unwrap().split(';').next().unwrap()).collect();
    assert_eq!(visits(&cookies.join("; ")).body(), "2", "{cookies:?}");
    assert_eq!(visits("").body(), "1");

    poll("the connections in the metrics", PATIENCE, || {
        let metrics = metrics(running);
        let open =
            metrics.lines().find(|line| line.starts_with("db_pool_connections{") && line.contains("sqlx"))?;
        (!open.ends_with(" 0")).then_some(())
    });
    assert!(metrics(running).contains("db_pool_max_connections{pool=\"sqlx\"} 3\n"));
    let dir = tempfile::tempdir().unwrap();
    let mut check = Command::new(program);
    check.arg("check").current_dir(&dir).env("APP__DATABASE__SQLX_POOL_CONNECTIONS", "3");
    let said = String::from_utf8(check.output().unwrap().stdout).unwrap();
    assert!(said.contains("database.sqlx_pool_connections 3 + 1 writer + 1 probe = "), "{said}");
}

#[test]
fn a_service_on_postgres_has_checked_queries_beside_all_default_features_of_sqlx() {
    let service = generated("any-postgres", "postgres", "", &["checked"]);
    let manifest = service.join("Cargo.toml");
    let sqlx = "sqlx = { version = \"0.9\", default-features = false, features = [\"derive\"] }";
    change(&manifest, &[(sqlx, "sqlx = \"0.9\"")]);
    run(cargo(&service).args(["metadata", "--format-version", "1"]).stdout(std::process::Stdio::null()));

    prepare(&service);
    let program = build_offline(&service);
    let server = Postgres::start(&service);
    let running = start(&program, &[("APP__DATABASE__URL", &server.url)]);
    asks_with_checked_queries(&running);
    assert_eq!(running.stop().code(), Some(0));
    succeeds(&script(&service, "ci/queries", &["--check"], Some(&server.url)));
    a_stale_folder_is_noticed(&service, Some(&server.url));
}
