//! Your own settings. They are the section `app`: `[app]` in the file, `APP__APP__…` in the environment. Give a secret the
//! type `longpole::Secret`, so that no output shows its value.

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// Say for each setting what happens when it is too high and when it is too low.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    /// Bodies that are larger than this are hashed on the offload pool. Too high: the event loop stalls while a body is
    /// hashed. Too low: it costs more to hand the work over than to do it.
    pub digest_offload_above: ByteSize,
    /// The largest number of items in one page. Too high: large answers hold a connection for long. Too low: clients send
    /// many requests.
    pub page_limit: u32,
    /// The URL that `/quote` asks. The default is this service itself.
    pub quote_url: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            digest_offload_above: ByteSize::kib(16),
            page_limit: 100,
            quote_url: "http://127.0.0.1:8080/hello".to_owned(),
        }
    }
}
