//! A hundred tests of an owner, each with a service and a database of its own, and one test that fails on purpose.

use longpole_testing::setup;

fn stores_an_item(name: &str) {
    let setup = setup!().migrated();
    setup.database.execute("INSERT INTO items (name) VALUES ('there before the start')");
    let mut service = setup.start();

    let headers = [("content-type", "application/json"), ("x-request-id", "abc")];
    let created = service.call("POST", "/items", &headers, format!(r#"{{"name": "{name}"}}"#).as_bytes());

    assert_eq!((created.status, created.header("location")), (201, Some("/items/2")));
    assert_eq!(service.get("/items/2").json()["name"], name);
    let line = service.request_line("abc");
    assert!(line["phases"].is_object() && line["route"] == "/items", "{line}");
    let of_route = [("method", "POST"), ("route", "/items")];
    assert_eq!(service.metric("http_request_duration_seconds_count", &of_route), 1.0);
    assert_eq!(service.database.count("SELECT count(*) FROM items"), 2);
    assert_eq!(service.stop(), 0);
}

macro_rules! tests {
    (ten $($name:ident)*) => {
        $(#[test] fn $name() { super::stores_an_item(stringify!($name)) })*
    };
    ($($module:ident)*) => {
        $(mod $module { tests!(ten a b c d e f g h i j); })*
    };
}

tests!(zero one two three four five six seven eight nine);

#[test]
fn fails_on_purpose() {
    let service = setup!().migrated().start();
    service.get("/items/1").problem(200);
}
