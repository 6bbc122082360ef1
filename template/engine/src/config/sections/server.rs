//! What may a client cost, from its connection to its answer?

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::proxies::{ForwardedHeader, Network};
use crate::config::machine::cores;
use crate::config::range::{DAY, MILLISECOND, Range, Ranges};

/// The public listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where users connect. With port 0, the system chooses the port and the log names it.
    pub addr: SocketAddr,
    /// Threads of the main runtime.
    ///
    /// Default: the number of cores.
    /// Too high: the threads fight for the cores.
    /// Too low: cores idle while requests wait, and one blocking call stops a larger share of the requests.
    pub worker_threads: usize,
    /// Longest time from the parsed head of a request to the head of its answer. Then the client gets 504.
    ///
    /// Too high: the service goes on to work for clients that have left.
    /// Too low: good answers that are slow become 504.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// Longest time for a client to send the head of a request. The idle time between two requests counts as well.
    ///
    /// Too high: silent clients hold connections.
    /// Too low: a value below the idle timeout of the proxy makes the proxy send into connections that the service is
    /// closing, and clients of the proxy see 502.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// Longest time in which a client takes nothing of its answer. Then its connection is closed; over HTTP/2, only that
    /// answer is reset.
    ///
    /// Too high: readers that are gone hold connections, memory and places.
    /// Too low: downloads over bad networks break off.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Whether a client that ends its sending over HTTP/1 still gets its answer.
    ///
    /// true: only a failed write tells that a client is gone, so the service goes on to work for clients that have left.
    /// false: such a client counts as gone, and its work is given up, even if the client only has nothing more to send.
    pub half_close: bool,
    /// The largest body of a request. A client that sends more gets 413.
    ///
    /// Too high: a few clients fill the memory.
    /// Too low: good requests get 413.
    pub body_limit: ByteSize,
    /// Connections that are served at once. More connections wait in the kernel's queue.
    ///
    /// Too high: the process runs out of file descriptors.
    /// Too low: clients hang before their first byte, and no metric of the service sees it.
    pub max_connections: usize,
    /// Whether answers say where the time went: all answers in the header `server-timing`, and 503 and 504 also in words.
    ///
    /// true: everybody who can ask learns about the inside of the service.
    /// false: only the log says where the time went.
    pub server_timing: bool,
    /// Proxies that the service believes when they name the client: addresses and networks, such as `10.0.0.0/8`.
    ///
    /// Too many: everybody who can reach the service from these networks can claim any address.
    /// Too few: the client of every request is a proxy.
    pub trusted_proxies: Vec<Network>,
    /// The one header in which these proxies name the client. Proxies pass on the headers that they do not write themselves.
    /// So with the wrong header, clients can claim any address.
    pub forwarded_header: ForwardedHeader,
}

impl ServerConfig {
    pub(super) const RANGES: Ranges<Self> = &[
        ("addr", Range::Any("an IP address and a port")),
        ("worker_threads", Range::Count(|s| s.worker_threads as u64, 1, 1024)),
        ("request_timeout", Range::Time(|s| s.request_timeout, MILLISECOND, DAY)),
        ("header_timeout", Range::Time(|s| s.header_timeout, MILLISECOND, DAY)),
        ("write_timeout", Range::Time(|s| s.write_timeout, MILLISECOND, DAY)),
        ("body_limit", Range::Size(|s| s.body_limit, ByteSize::b(1), ByteSize::gib(4))),
        ("max_connections", Range::Count(|s| s.max_connections as u64, 1, 1_000_000)),
        ("trusted_proxies", Range::Any("addresses and networks")),
    ];
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 8080)),
            worker_threads: cores(),
            request_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            half_close: false,
            body_limit: ByteSize::mib(1),
            max_connections: 10_000,
            server_timing: false,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::XForwardedFor,
        }
    }
}
