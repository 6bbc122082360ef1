//! Who may ask for probes and metrics?

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::range::{Range, Ranges};

/// The admin listener: probes and metrics. Keep it away from the internet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Where the status page, probes and metrics are. Keep it away from the internet. In a container, listen on 0.0.0.0 so
    /// that probes reach it.
    pub addr: SocketAddr,
    /// Host names under which the admin listener may be asked, besides IP addresses and localhost. Requests with other
    /// names get 403, so that no web page reaches the admin listener through a name of its own (DNS rebinding).
    pub allowed_hosts: Vec<String>,
}

impl AdminConfig {
    pub(super) const RANGES: Ranges<Self> =
        &[("addr", Range::Any("an IP address and a port")), ("allowed_hosts", Range::Any("names of hosts"))];
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { addr: SocketAddr::from(([127, 0, 0, 1], 8081)), allowed_hosts: Vec::new() }
    }
}
