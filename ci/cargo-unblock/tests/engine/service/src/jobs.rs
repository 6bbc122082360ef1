//! What works besides the requests, started where nothing is served yet and from a handler.

use std::future::Future;

use longpole::{Background, CancellationToken};

use crate::read;

pub fn begin(background: &Background) {
    background.start("closure", |stop| {
        let _ = std::fs::read("x"); //~ OK called at once, by what is no async code
        async move {
            let _ = stop;
            let _ = std::fs::metadata("x"); //~ BAD std::fs::metadata
        }
    });
    background.start("function", keep); //~ OK called at once, by what is no async code
    background.start("async function", keep_async); //~ OK only makes the future
    background.once("once", async {
        read("x"); //~ BAD std::fs::read
    });
}

fn keep(_stop: CancellationToken) -> impl Future<Output = ()> {
    let _ = std::fs::read_dir("x"); //~ OK the line that gives it to a task is reported
    async {
        std::thread::park(); //~ BAD std::thread::park
    }
}

async fn keep_async(_stop: CancellationToken) {
    std::thread::sleep(std::time::Duration::ZERO); //~ BAD std::thread::sleep
}

pub async fn from_handler(background: &Background) {
    background.start("closure", |_stop| {
        let _ = std::fs::read("x"); //~ BAD std::fs::read
        async {}
    });
    background.start("function", keep); //~ BAD std::fs::read_dir
    background.start("async function", keep_async); //~ OK only makes the future
    let kept = |_stop| {
        read("x"); //~ OK the line that gives it to a task is reported
        async {}
    };
    background.start("kept", kept); //~ BAD std::fs::read
    background.once("once", async {
        let _ = std::fs::write("x", "y"); //~ BAD std::fs::write
    });
}
