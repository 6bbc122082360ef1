//! Which proxies are believed, and in which header do they name the client?

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An address or a network: `"10.0.0.7"`, `"10.0.0.0/8"`, `"fd00::/8"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Whether an address is in it. `::ffff:10.0.0.7` is not in `10.0.0.0/8`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
        let wrong = |_| "must be an address or a network, like \"10.0.0.7\" or \"10.0.0.0/8\"".to_owned();
        network.map(Self).map_err(wrong)
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

/// The header in which a proxy names who asked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// A list of addresses, to which each proxy appends one.
    XForwardedFor,
    /// RFC 7239: a list of `for=ADDRESS`.
    Forwarded,
}
