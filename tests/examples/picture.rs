//! Takes the picture of the status page that the README shows. Run it with `ci/picture`.

use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::sleep;
use std::time::Duration;
use std::{env, fs, thread};

use longpole_tests::browser::Browser;
use longpole_tests::generate::{NEWEST, generate};
use longpole_tests::process::{Process, run};
use longpole_tests::service::{ask, cargo, start};
use longpole_tests::status::{SMALL, drill_program};
use longpole_tests::{place, target_dir};

fn main() {
    let path = env::args().nth(1).expect("usage: picture FILE");
    let service = generate(NEWEST, "demo", &place("demo")).done();
    run(cargo(&service).args(["build", "--locked", "--features", "drill"]));
    let running = start(&target_dir().join("debug/demo"), &SMALL);
    let url = format!("http://{}", running.public);

    // First a request blocks a worker, and then requests hold connections for too long.
    ask("GET", &format!("{url}/drill/block/300"), &[], "");
    let json = [("content-type", "application/json")];
    ask("POST", &format!("{url}/items"), &json, r#"{"name": "first"}"#);
    let drills = ["db_wait", "offload_run", "http_upstream"].map(|phase| {
        let mut drill = Command::new(drill_program());
        Process::start(drill.args([&running.public, "60", phase]).stdout(Stdio::null()))
    });
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for path in ["/items/1", "/items", "/hello"] {
            let (url, over) = (format!("{url}{path}"), &over);
            scope.spawn(move || {
                while !over.load(Relaxed) {
                    ask("GET", &url, &[], "");
                    sleep(Duration::from_millis(25));
                }
            });
        }
        let browser = Browser::start();
        browser.resize(1100, 1600);
        browser.go(&format!("http://{}/?every=1000", running.admin));
        sleep(Duration::from_secs(13));
        fs::write(path, browser.screenshot()).unwrap();
        over.store(true, Relaxed);
    });
    drop(drills);
}
