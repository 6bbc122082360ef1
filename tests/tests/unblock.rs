//! Does a generated service's CI turn red when a handler blocks, and green when the call is moved?

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use longpole_tests::generate::{NEWEST, generate};
use longpole_tests::process::run;
use longpole_tests::service::cargo;
use longpole_tests::{check_variables, place};

const HEAD: &str = r"//! Planted by a test.

use axum::routing::get;
use axum::{Extension, Router};
use longpole::Offload;

pub fn routes() -> Router {
    Router::new().route(/, get(handler))
}

";

struct Plant {
    name: &'static str,
    /// Parts of the message: the path of the call that blocks, and the cure.
    says: [&'static str; 2],
    /// Helpers that the handlers share.
    helpers: &'static str,
    /// The body of a handler that is wrong. The line that must be reported ends with `// here`.
    wrong: &'static str,
    /// The same body, put right.
    right: &'static str,
}

const PLANTS: [Plant; 5] = [
    Plant {
        name: "thread::sleep in a handler",
        says: ["`std::thread::sleep`", "tokio::time::sleep"],
        helpers: "",
        wrong: "    std::thread::sleep(std::time::Duration::from_millis(1)); // here\n    offload.run(|| ()).await.is_ok().to_string()\n",
        right: "    let sleep = || std::thread::sleep(std::time::Duration::from_millis(1));\n    offload.run(sleep).await.is_ok().to_string()\n",
    },
    Plant {
        name: "std::fs two calls below a handler",
        says: ["`std::fs::read_to_string`", "spawn_blocking"],
        helpers: "fn page() -> String {\n    template(\"page.html\")\n}\n\nfn template(name: &str) -> String {\n    std::fs::read_to_string(name).unwrap_or_default()\n}\n\n",
        wrong: "    let page = page(); // here\n    offload.run(|| page).await.unwrap_or_default()\n",
        right: "    offload.run(page).await.unwrap_or_default()\n",
    },
    Plant {
        name: "reqwest::blocking",
        says: ["`reqwest::blocking::get`", "reqwest::Client (async)"],
        helpers: "",
        wrong: "    let answer = reqwest::blocking::get(\"http://localhost\").is_ok(); // here\n    offload.run(move || answer.to_string()).await.unwrap_or_default()\n",
        right: "    let ask = || reqwest::blocking::get(\"http://localhost\").is_ok();\n    offload.run(ask).await.is_ok().to_string()\n",
    },
    Plant {
        name: "a guard over an await",
        says: ["`std::sync::MutexGuard`", "before the `.await`"],
        helpers: "static COUNT: std::sync::Mutex<u32> = std::sync::Mutex::new(0);\n\n",
        wrong: "    let Ok(mut count) = COUNT.lock() else { return String::new() }; // here\n    *count += 1;\n    let done = offload.run(|| ()).await.is_ok();\n    format!(\"{count} {done}\")\n",
        right: "    let text = {\n        let Ok(mut count) = COUNT.lock() else { return String::new() };\n        *count += 1;\n        count.to_string()\n    };\n    offload.run(|| text).await.unwrap_or_default()\n",
    },
    Plant {
        name: "block_on in a handler",
        says: ["`tokio::runtime::Handle::block_on`", ".await"],
        helpers: "async fn ready() -> String {\n    String::new()\n}\n\n",
        wrong: "    let text = tokio::runtime::Handle::current().block_on(ready()); // here\n    offload.run(|| text).await.unwrap_or_default()\n",
        right: "    let runtime = tokio::runtime::Handle::current();\n    offload.run(move || runtime.block_on(ready())).await.unwrap_or_default()\n",
    },
];

fn plant(service: &Path, helpers: &str, body: &str) -> String {
    let head = HEAD.replace("route(/,", "route(\"/planted\",");
    // Held across an await, a guard is not `Send`: no handler can be made of it, but a task of one thread.
    let head = if body.contains("COUNT.lock()") && body.contains("// here") {
        "//! Planted by a test.\n\nuse axum::Extension;\nuse longpole::Offload;\n\n".to_owned()
    } else {
        head
    };
    let text = format!(
        "{head}{helpers}pub async fn handler(Extension(offload): Extension<Offload>) -> String {{\n{body}}}\n"
    );
    fs::write(service.join("src/planted.rs"), &text).unwrap();
    text
}

fn unblock(service: &Path, format: &str) -> Output {
    cargo(service).envs(check_variables()).args(["unblock", "--message-format", format]).output().unwrap()
}

#[test]
fn planted_calls_turn_the_checks_red_and_moved_ones_green() {
    let service = generate(NEWEST, "planted", &place("planted")).done();
    let program = fs::read_to_string(service.join("src/main.rs")).unwrap();
    fs::write(service.join("src/main.rs"), program.replace("mod app;\n", "mod app;\nmod planted;\n"))
        .unwrap();
    run(cargo(&service).args([
        "add",
        "--quiet",
        "reqwest@0.13.5",
        "--no-default-features",
        "--features",
        "blocking",
    ]));

    for Plant { name, says, helpers, wrong, right } in PLANTS {
        let text = plant(&service, helpers, wrong);
        let line = text.lines().position(|line| line.ends_with("// here")).unwrap() + 1;
        let output = unblock(&service, "short");
        let report = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {report}{stderr}");
        assert_eq!(report.lines().count(), 1, "{name}: {report}");
        assert!(report.starts_with(&format!("src/planted.rs:{line}:")), "{name}, line {line}: {report}");
        for part in says {
            assert!(report.contains(part), "{name}: no {part} in {report}");
        }

        plant(&service, helpers, right);
        let output = unblock(&service, "short");
        let report = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{name}, moved: {report}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    // The whole check stops at it, after formatting has passed.
    plant(&service, PLANTS[1].helpers, &PLANTS[1].wrong.replace(" // here", ""));
    let output = Command::new(service.join("ci/check"))
        .envs(check_variables())
        .env("GITHUB_ACTIONS", "true")
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(
        report.contains("::error file=src/planted.rs,line="),
        "{report}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!report.contains("test result"), "{report}");
}
