//! Your own settings, the section `app`: `[app]` in the file, `APP__APP__…` in the environment.

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// Say for each what happens when it is too high and too low.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    /// Bodies larger than this are hashed on the offload pool. Too high: the event loop stalls while a
    /// body is hashed. Too low: handing the work over costs more than doing it.
    pub digest_offload_above: ByteSize,
    /// Most items in one page. Too high: large answers hold a connection. Too low: chatty clients.
    pub page_limit: u32,
    /// What `/quote` asks. The default is this service itself.
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
