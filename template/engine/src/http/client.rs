//! Who has sent a request, when proxies stand between?
//!
//! The address of a connection's peer is known. If the peer is a proxy that we trust, the last address in its header is
//! that of the proxy's own peer. If this address is a trusted proxy, too, the address before it counts, and so on.
//! Everything before the first address that we do not trust may be made up.

use std::iter;
use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use crate::config::{ForwardedHeader, Network, ServerConfig};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Which proxies we believe, and in which header.
pub(super) struct Proxies {
    trusted: Vec<Network>,
    header: ForwardedHeader,
}

impl Proxies {
    pub(super) fn new(config: &ServerConfig) -> Self {
        Self { trusted: config.trusted_proxies.clone(), header: config.forwarded_header }
    }

    /// The first address from the right that is no trusted proxy. If an address cannot be read, the search ends, and
    /// the result is the trusted proxy that was found last.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical(); // an IPv6 socket shows an IPv4 peer as ::ffff:a.b.c.d
        if !self.trusts(client) {
            return client;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
            ForwardedHeader::Forwarded => header::FORWARDED,
        };
        let lines = headers.get_all(name).iter().rev();
        let mut hops = lines.flat_map(|line| from_right(line.as_bytes(), b',')).map(<[u8]>::trim_ascii);
        while self.trusts(client) {
            match hops.find(|hop| !hop.is_empty()).and_then(|hop| self.address(hop)) {
                Some(address) => client = address.to_canonical(),
                None => break,
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    fn address(&self, hop: &[u8]) -> Option<IpAddr> {
        match self.header {
            ForwardedHeader::XForwardedFor => address(hop),
            ForwardedHeader::Forwarded => {
                let mut addresses = from_right(hop, b';').filter_map(value_of_for);
                let address = addresses.next().and_then(address);
                // A second `for` means that a proxy has passed on a text of its client without quotes.
                address.filter(|_| addresses.next().is_none())
            }
        }
    }
}

/// The parts of a text between separators, the last part first. A quoted string is never cut, because it may contain a
/// text of the client's. The part that the nearest proxy has added is complete. So a search from the right finds the
/// quotes of this proxy first, and only later a quote that a client has left open.
fn from_right(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    iter::from_fn(move || {
        let text = rest?;
        let mut is_quoted = false;
        let cut = (0..text.len()).rev().find(|&at| {
            if text[at] == b'"' && !(is_quoted && is_escaped(text, at)) {
                is_quoted = !is_quoted;
            }
            text[at] == separator && !is_quoted
        });
        rest = cut.map(|at| &text[..at]);
        Some(cut.map_or(text, |at| &text[at + 1..]))
    })
}

fn is_escaped(text: &[u8], at: usize) -> bool {
    text[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

fn value_of_for(pair: &[u8]) -> Option<&[u8]> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
    let bare = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    name.eq_ignore_ascii_case(b"for").then(|| bare.unwrap_or(value))
}

/// Reads an IP address, with or without a port. An IPv6 address may be in brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(header: ForwardedHeader, peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8", "192.0.2.7"].map(|text| text.parse().unwrap()).to_vec();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, other, lie) = match header {
                ForwardedHeader::XForwardedFor => (X_FORWARDED_FOR, header::FORWARDED, "for=6.6.6.6"),
                ForwardedHeader::Forwarded => (header::FORWARDED, X_FORWARDED_FOR, "6.6.6.6"),
            };
            headers.append(name, HeaderValue::from_str(line).unwrap());
            // The proxies do not write this header, so a client can write it.
            headers.append(other, HeaderValue::from_static(lie));
        }
        Proxies { trusted, header }.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_have_seen_is_believed() {
        for (peer, lines, expected) in [
            ("203.0.113.1", &["1.1.1.1"][..], "203.0.113.1"), // the peer is not trusted
            ("::ffff:203.0.113.1", &[], "203.0.113.1"),
            ("10.0.0.1", &["203.0.113.5"], "203.0.113.5"),
            ("::ffff:10.0.0.1", &["::ffff:203.0.113.5"], "203.0.113.5"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.5"], "203.0.113.5"), // the first is made up
            ("10.0.0.1", &["203.0.113.5, 10.2.3.4, 192.0.2.7"], "203.0.113.5"), // three proxies
            ("10.0.0.1", &["1.1.1.1", "203.0.113.5,, 10.2.3.4 ,"], "203.0.113.5"), // the last line is the nearest
            ("fd00::1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("fd00::1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["203.0.113.5:50000"], "203.0.113.5"),
            ("10.0.0.1", &["1.1.1.1, unknown, 10.2.3.4"], "10.2.3.4"), // the last address that can be read
            ("10.0.0.1", &["10.2.3.4"], "10.2.3.4"),                   // the client is inside the network
        ] {
            assert_eq!(client(ForwardedHeader::XForwardedFor, peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_the_same_way() {
        for (lines, expected) in [
            (&["for=203.0.113.5"][..], "203.0.113.5"),
            (&["for=1.1.1.1, For=\"203.0.113.5:4711\";proto=https;by=10.0.0.1, for=10.2.3.4"], "203.0.113.5"),
            (&["for=1.1.1.1", "proto=http; for=\"[2001:db8::1]:4711\""], "2001:db8::1"),
            (&["for=\"1.1.1.1, for=203.0.113.5"], "203.0.113.5"), // a quote that is never closed
            // The client has chosen the host, and its proxy has put it in quotes.
            (&[r#"proto=http;host="x;for=6.6.6.6";for="203.0.113.5""#], "203.0.113.5"),
            (&[r#"for="203.0.113.5";host="x;for=6.6.6.6";proto=http"#], "203.0.113.5"),
            (&[r#"for=203.0.113.5;host="x, for=6.6.6.6""#], "203.0.113.5"),
            (&[r#"host="x, for=6.6.6.6, y";for=203.0.113.5"#], "203.0.113.5"),
            (&[r#"for=203.0.113.5;host="x\", for=6.6.6.6;a=\"""#], "203.0.113.5"),
            (&[r#"host="x\\\";for=6.6.6.6;a=\\";for=203.0.113.5"#], "203.0.113.5"),
            (&[r#"for=6.6.6.6;host="x, for=203.0.113.5;host="y""#], "203.0.113.5"),
            (&[r#"for=1.1.1.1, host=x;for=6.6.6.6;for=203.0.113.5"#], "10.0.0.1"), // which `for` is the proxy's?
            (&["for=1.1.1.1, for=_hidden, for=10.2.3.4"], "10.2.3.4"),
            (&["for=1.1.1.1, proto=https"], "10.0.0.1"),
        ] {
            assert_eq!(client(ForwardedHeader::Forwarded, "10.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn without_a_header_it_is_the_proxy() {
        assert_eq!(client(ForwardedHeader::Forwarded, "10.0.0.1", &[]), "10.0.0.1");
    }
}
