//! The service as a whole: it starts, it is ready, and it stops when it is told to.

use longpole_testing::setup;

#[test]
fn it_starts_and_stops() {
    let mut service = setup!().start();
    assert_eq!(service.ask("/readyz").status, 200); // `ask` sends to the admin listener, `get` to the public listener

    service.signal("TERM");

    assert_eq!(service.wait(), 0);
}
