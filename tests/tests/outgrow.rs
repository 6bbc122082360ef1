//! Do the commands of `docs/postgres.md` bring a service from SQLite to PostgreSQL?

use std::ffi::OsString;
use std::process::Command;
use std::{env, fs};

use longpole_tests::generate::{NEWEST, cargo_generate, generate, template};
use longpole_tests::postgres::Postgres;
use longpole_tests::process::run;
use longpole_tests::service::{ask, build, start};
use longpole_tests::{build_variables, place, repo, tree};

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn a_service_outgrows_sqlite_and_keeps_its_rows() {
    let service = generate(NEWEST, "outgrown", &place("outgrown")).done();
    let file = format!("sqlite:{}", service.join("data/service.db").display());
    let running = start(&build(&service), &[("APP__DATABASE__URL", &file)]);
    let names = ["plain", "a \"quoted\", comma'd name", "übergroß"];
    for name in names {
        let item = serde_json::json!({ "name": name }).to_string();
        let answer = ask("POST", &format!("http://{}/items", running.public), &[JSON], &item);
        assert_eq!(answer.status(), 201, "{answer:?}");
    }
    assert!(running.stop().success());

    let server = Postgres::start(&template().join("template"));
    run(Command::new("sh")
        .args(["-eu", "-c", &told()])
        .current_dir(&service)
        .envs(build_variables())
        .env("PATH", path_with_cargo_generate())
        .env("USER", "tests")
        .env("LONGPOLE", template())
        .env("APP__DATABASE__URL", &server.url));

    let mut walked = tree::files(&service);
    walked.retain(|path, _| !path.starts_with("data/"));
    let other = tempfile::tempdir().unwrap();
    let generated = generate(NEWEST, "outgrown", other.path()).answer("database", "postgres").done();
    let mut generated = tree::files(&generated);
    for tree in [&mut walked, &mut generated] {
        tree.remove("Cargo.lock"); // cargo may find newer packages today
    }
    assert_eq!(walked.keys().collect::<Vec<_>>(), generated.keys().collect::<Vec<_>>());
    for (path, (content, _)) in &walked {
        let difference = tree::first_difference(content, &generated[path].0);
        assert_eq!(difference, None, "{path} is not what is generated for PostgreSQL");
    }

    let running = start(&build(&service), &[("APP__DATABASE__URL", &server.url)]);
    let items = format!("http://{}/items", running.public);
    for (id, name) in (1..).zip(names) {
        let item = ask("GET", &format!("{items}/{id}"), &[], "");
        assert_eq!(item.body(), &serde_json::json!({ "id": id, "name": name, "version": 1 }).to_string());
    }
    let next = ask("POST", &items, &[JSON], r#"{"name": "next"}"#);
    assert_eq!(next.headers()["location"], "/items/4", "{next:?}");
}

/// The commands that the page tells a reader to type.
fn told() -> String {
    let page = fs::read_to_string(repo().join("docs/postgres.md")).unwrap();
    let (_, way) = page.split_once("\n## Outgrowing SQLite\n").unwrap();
    let blocks: Vec<_> =
        way.split("```sh\n").skip(1).map(|block| block.split_once("```").unwrap().0).collect();
    assert_eq!(blocks.len(), 3);
    blocks.concat()
}

fn path_with_cargo_generate() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let tool = cargo_generate(NEWEST).parent().unwrap().to_owned();
    env::join_paths([tool].into_iter().chain(env::split_paths(&path))).unwrap()
}
