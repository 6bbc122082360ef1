//! Which proxies are believed, and in which header do they name the client?

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An address or a network, for `server.trusted_proxies`: `"10.0.0.7"`, `"10.0.0.0/8"`, `"fd00::/8"`. Your own settings may
/// use this type as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Whether the address is in the network. The network `10.0.0.0/8` contains `10.0.0.7`, but not the same address in the
    /// spelling of IPv6, `::ffff:10.0.0.7`. [`ClientAddr`](crate::ClientAddr) never has that spelling.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

/// The error when a text is neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an address or a network, like \"10.0.0.7\" or \"10.0.0.0/8\"")]
pub struct ParseNetworkError(());

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
        network.map(Self).map_err(|_| ParseNetworkError(()))
    }
}

impl TryFrom<String> for Network {
    type Error = ParseNetworkError;

    fn try_from(text: String) -> Result<Self, ParseNetworkError> {
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

/// The header in which a proxy names the client that sent it the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// A list of addresses, to which each proxy appends one.
    XForwardedFor,
    /// RFC 7239: a list of `for=ADDRESS`.
    Forwarded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_of_one() {
        for (text, inside, outside) in [
            ("10.0.0.7", "10.0.0.7", "10.0.0.8"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("10.0.0.0/8", "10.0.0.1", "::ffff:10.0.0.7"),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.to_string(), text);
            let [inside, outside] = [inside, outside].map(|address| address.parse().unwrap());
            assert!(network.contains(inside) && !network.contains(outside), "{text}");
        }
    }

    #[test]
    fn what_is_none_says_what_one_looks_like() {
        for text in ["", "proxy.example", "10.0.0.0/33", "10.0.0"] {
            let error: Box<dyn std::error::Error> = text.parse::<Network>().unwrap_err().into();
            assert!(error.to_string().contains("10.0.0.0/8"), "{text}: {error}");
        }
    }
}
