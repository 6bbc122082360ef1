//! Does the status page work in a real browser: without other hosts, live, through a restart, and on a phone?

use longpole_tests::browser::Browser;
use longpole_tests::generate::{NEWEST, generate};
use longpole_tests::place;
use longpole_tests::process::{PATIENCE, poll, run};
use longpole_tests::service::{ask, cargo, start};
use longpole_tests::status::{EVERY, PHASES, SMALL, names};

#[test]
fn the_page_follows_three_long_poles_through_a_restart() {
    let service = generate(NEWEST, "watched", &place("watched")).done();
    run(cargo(&service).args(["build", "--locked", "--features", "drill"]));
    let program = longpole_tests::target_dir().join("debug/watched");
    let running = start(&program, &SMALL);
    let admin = running.admin.clone();

    let policy =
        ask("GET", &format!("http://{admin}/"), &[], "").headers()["content-security-policy"].clone();
    assert!(policy.to_str().unwrap().starts_with("default-src 'none'; script-src 'nonce-"), "{policy:?}");
    let browser = Browser::start();
    browser.asked(); // forgets what the browser has asked for itself before the page
    browser.go(&format!("http://{admin}/?every={EVERY}"));
    browser.run("window.mark = 'the same page'");
    let phase = |name: &str| *PHASES.iter().find(|(phase, _)| *phase == name).unwrap();
    for (name, words) in ["db_wait", "loop_delay", "offload_wait"].map(phase) {
        names(&browser, &running.public, name, words);
    }
    let text = |id: &str| browser.run(&format!("return document.getElementById('{id}').innerText"));
    assert!(
        text("stalls").as_str().unwrap().contains("neither a request nor a background task"),
        "{}",
        text("stalls")
    );
    assert!(text("advice").as_str().unwrap().contains("1 threads"), "the arithmetic: {}", text("advice"));
    assert!(
        text("alignment")
            .as_str()
            .unwrap()
            .contains("shutdown.grace 25s + 1s < platform.termination_grace 30s")
    );
    assert_eq!(browser.console(), Vec::<String>::new());
    let asked = browser.asked();
    assert!(asked.iter().any(|url| url.ends_with("/metrics")), "{asked:?}");
    // The browser also asks for pages of its own, such as chrome://….
    let own = [format!("http://{admin}/"), "data:".to_owned(), "chrome:".to_owned()];
    let foreign: Vec<_> = asked.iter().filter(|url| !own.iter().any(|own| url.starts_with(own))).collect();
    assert!(foreign.is_empty(), "{foreign:?}");

    // On a phone, nobody has to scroll sideways.
    browser.resize(500, 900); // the smallest window that the browser allows
    let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.run(overflow), 0);

    running.stop();
    poll("the page sees the end", PATIENCE, || (text("state") == "does not answer").then_some(()));
    let again = start(&program, &[&SMALL[..], &[("APP__ADMIN__ADDR", &admin)]].concat());
    poll("the page sees the new process", PATIENCE, || (text("state") == "ready").then_some(()));
    let (name, words) = phase("http_upstream");
    names(&browser, &again.public, name, words);
    assert_eq!(browser.run("return window.mark"), "the same page");
}
