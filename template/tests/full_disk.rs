//! If the disk is full, is everything still there that the service has acknowledged?
//!
//! This test is yours. Delete it when you delete the example or change to another database than SQLite.

use longpole_testing::setup;

#[test]
fn what_was_acknowledged_is_stored_even_when_the_disk_is_full() {
    let service = setup!().disk(256).start();

    let mut stored = Vec::new();
    let refused = loop {
        let json = [("content-type", "application/json")];
        let answer = service.call("POST", "/items", &json, br#"{"name": "one more"}"#);
        if answer.status != 201 {
            break answer;
        }
        stored.push(answer.header("location").unwrap().to_owned());
        assert!(stored.len() < 1000, "the disk never fills");
    };

    refused.problem(503);
    assert!(!stored.is_empty());
    for path in stored {
        assert_eq!(service.get(&path).status, 200, "{path} was acknowledged");
    }
}
