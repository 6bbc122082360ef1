//! Which limits is this process running with, and what happens if one is wrong?
//!
//! Every bound of the service stands here, those of the database in `database/`, each with what you will
//! see when it is too high and when it is too low. Start with the command `check` of the service: it prints each value
//! in force and where it came from.

pub(crate) mod align;
#[cfg(feature = "_database")]
mod database;
mod faults;
mod layers;
pub(crate) mod load;
mod proxies;
mod read;
mod redaction;
pub(crate) mod report;
mod secret;
mod secret_names;
mod settle;

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

#[cfg(feature = "_database")]
pub use self::database::DatabaseConfig;
pub use self::proxies::{ForwardedHeader, Network};
pub use self::secret::{Secret, SecretUrl};

/// The engine's settings, a field for each section: defaults, then the file, then the environment.
///
/// `server.addr` is `addr` in `[server]` of the file, and `APP__SERVER__ADDR` in the environment. Durations are written
/// `"250ms"`, `"30s"`, `"1m 15s"`; sizes `"64KiB"`, `"1MiB"`. The defaults are what [`Default`] says, and what the command
/// `check` prints. Your own settings are a type of yours, under the key `app`. Fields are added from time to time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// The public listener.
    pub server: ServerConfig,
    /// The admin listener: probes and metrics.
    pub admin: AdminConfig,
    /// How many requests are worked on at once.
    pub admission: AdmissionConfig,
    /// The database and its pool.
    #[cfg(feature = "_database")]
    pub database: DatabaseConfig,
    /// Calls to other services.
    pub http_client: HttpClientConfig,
    /// Threads for CPU work and blocking calls.
    pub offload: OffloadConfig,
    /// The heartbeat that measures how long the event loop was unavailable.
    pub watchdog: WatchdogConfig,
    /// What happens between SIGTERM and the exit.
    pub shutdown: ShutdownConfig,
    /// What the service is told about where it runs.
    pub platform: PlatformConfig,
    /// The log file.
    pub log: LogConfig,
}

/// The public listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where users connect. Port 0 lets the system choose; the log names the port it chose.
    pub addr: SocketAddr,
    /// Threads of the main runtime. Too high: they fight for cores. Too low: cores idle while
    /// requests wait, and one blocking call stops a larger share of them.
    pub worker_threads: usize,
    /// From the parsed head to the response's head. Too high: clients have left long before we
    /// stop working for them. Too low: slow but good answers become 504.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// Time to send a request's head, idle keep-alive included (one timer for both).
    /// Too high: silent clients hold connections. Lower than the proxy's idle timeout: the proxy
    /// sends into connections that we are closing, and its clients see 502.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// A client that takes nothing of its answer for so long is closed; over HTTP/2, that answer is reset. Too high:
    /// readers that are gone hold connections, memory and places. Too low: downloads over bad networks break off.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// HTTP/1: what the end of a client's sending means. false: the client is gone, and its work is given up. true:
    /// the client has said all and waits for its answer; then only a failed write tells that a client is gone, so
    /// work for clients that have left goes on.
    pub half_close: bool,
    /// Largest request body. Too high: a few clients fill the memory. Too low: 413 for good ones.
    pub body_limit: ByteSize,
    /// Connections served at once; more wait in the kernel's queue. Too high: out of file
    /// descriptors. Too low: clients hang before their first byte, and no metric of ours sees it.
    pub max_connections: usize,
    /// Whether answers say where the time went: in the header `server-timing`, and in words where they are 503 or
    /// 504. On: whoever can ask learns about the inside. Off: only the log knows.
    pub server_timing: bool,
    /// Proxies whose word is taken for who the client is: addresses and networks. Too many: whoever can reach the
    /// service from there can claim any address. Too few: the client of every request is a proxy.
    pub trusted_proxies: Vec<Network>,
    /// The one header in which those proxies name the client. The wrong one: proxies hand through what they do not
    /// write themselves, so clients can claim any address.
    pub forwarded_header: ForwardedHeader,
}

/// How many requests are worked on at once. Probes and metrics are not among them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AdmissionConfig {
    /// Requests worked on at once, each to the last byte of its answer. The default is eight times
    /// `database.max_connections`, at least 64. Too high: all of them are slow at once, and memory goes. Too low:
    /// requests wait although everything behind is idle. Slow clients hold places, too: put a proxy before the
    /// service that takes in whole requests and answers.
    pub max_in_flight: usize,
    /// Requests that may wait to be let in, some 20 KB each, and up to 64 KiB more over HTTP/2 where they have a body;
    /// more are refused with 503. This bounds memory alone: `max_wait` is what bounds the queue. Too high: a flood fills
    /// the memory. Too low: bursts are refused that would have been served in time.
    pub max_queue: usize,
    /// Longest wait to be let in; then 503. Who would wait for longer is refused at once. Too high: clients wait for
    /// an answer that comes late. Too low: short bursts are refused.
    #[serde(with = "humantime_serde")]
    pub max_wait: Duration,
}

/// Calls to other services.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpClientConfig {
    /// Calls at once, over all hosts. Too high: file descriptors and memory go to slow services. Too low: requests
    /// wait in `http_client_wait_seconds` for services that are fast.
    pub max_in_flight: usize,
    /// Calls at once to one host. Too high: one slow service takes the places of all. Too low: requests wait for a
    /// service that could do more.
    pub max_per_host: usize,
    /// Longest time to connect. Too high: a host that is gone is waited for. Too low: a lost packet is an error.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest time without a byte of the answer. Too high: a service that hangs holds its place. Too low: slow
    /// but good answers break off.
    #[serde(with = "humantime_serde")]
    pub read_timeout: Duration,
    /// A connection on which nothing happened for so long is not used again. It must be lower than the other
    /// service's own idle timeout (gunicorn closes after 2s, Node and uvicorn after 5s, nginx after 75s). Too high:
    /// requests are sent on connections that the other service is closing; those that must not be sent twice become
    /// 502. Too low: more calls wait for a new connection.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// From the sending to the last byte of the answer, where the call sets none of its own; then 504. Too high: the
    /// request's own timeout comes first, and nobody learns the cause. Too low: slow but good answers are given up.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Largest body of an answer. Too high: one service fills the memory. Too low: 502 for good answers.
    pub body_limit: ByteSize,
}

/// The admin listener: probes and metrics. Keep it away from the internet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Its address. In a container, listen on 0.0.0.0 so that probes reach it.
    pub addr: SocketAddr,
    /// Host names, besides IP literals and localhost, under which it may be asked. Others get 403:
    /// a web page must not reach it through a name of its own (DNS rebinding).
    pub allowed_hosts: Vec<String>,
}

/// Threads for CPU work and blocking calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OffloadConfig {
    /// Closures run at once. Too high: they take the cores from the event loop. Too low: they wait
    /// in `offload_wait_seconds` while cores idle.
    pub threads: usize,
    /// Closures that may wait for a thread; more are refused with 503. The default is 64 for each thread. Too high:
    /// answers come after the client has left. Too low: short bursts are refused.
    pub max_queue: usize,
}

/// The heartbeat that measures how long the event loop was unavailable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WatchdogConfig {
    /// Time between beats under load. Too high: short stalls go unseen. Too low: costs CPU.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// A stall longer than this is logged. Too high: stalls that users feel stay silent. Too low:
    /// scheduling noise fills the log.
    #[serde(with = "humantime_serde")]
    pub stall_warn: Duration,
    /// `/livez` turns 503 after a stall of this length, 0s never. Too high: a dead process stays.
    /// Too low: one slow call restarts a process that would have recovered.
    #[serde(with = "humantime_serde")]
    pub dead_after: Duration,
}

/// What happens between SIGTERM and the exit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShutdownConfig {
    /// How long to keep accepting after `/readyz` turned 503, so that load balancers notice. Too
    /// high: eats the grace. Too low: clients are sent to a closed port.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// From the signal to the moment unfinished requests are cut off. Too high: the platform kills
    /// the process before its log is written. Too low: slow requests are cut off at each release.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

/// What this service is told about where it runs; only the alignment report uses it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlatformConfig {
    /// How long after SIGTERM the platform kills (Kubernetes: `terminationGracePeriodSeconds`).
    #[serde(with = "humantime_serde")]
    pub termination_grace: Duration,
    /// Copies of this service, to reckon what they ask of the database together.
    pub replicas: u32,
}

/// The log file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogConfig {
    /// A folder of its own: files in it that begin like ours are deleted by `max_files`.
    pub dir: PathBuf,
    /// `info`, or per module: `info,my_service::app=debug,sqlx=warn`.
    pub level: String,
    /// How a line is written.
    pub format: LogFormat,
    /// When a new file is begun, in UTC.
    pub rotation: Rotation,
    /// Files kept, the current one included. Too high: the disk fills. Too low: no history.
    pub max_files: usize,
    /// Bytes that may wait for the disk; beyond it lines are dropped and counted. Too high: memory.
    /// Too low: a slow disk costs lines.
    pub queue_size: ByteSize,
    /// Longest wait for the disk at shutdown. Too high: outlasts the platform's patience. Too low:
    /// the last lines, the ones you will look for, are missing.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Whether the line of a request has the client's address. On: the log holds data about people, which laws want
    /// to be protected and deleted. Off: who floods the service is known to the proxy alone.
    pub client_addr: bool,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// An object for each line, for programs.
    Json,
    /// For people.
    Text,
}

/// When a new log file is begun, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotation {
    /// At each full hour.
    Hourly,
    /// At midnight.
    Daily,
    /// One file for ever, which grows without a bound.
    Never,
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
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

impl Default for AdmissionConfig {
    fn default() -> Self {
        // What follows from other values is put right once they are known: see `align`.
        Self { max_in_flight: 64, max_queue: 10_000, max_wait: Duration::from_millis(500) }
    }
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            max_in_flight: 100,
            max_per_host: 20,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            body_limit: ByteSize::mib(8),
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { addr: SocketAddr::from(([127, 0, 0, 1], 8081)), allowed_hosts: Vec::new() }
    }
}

impl Default for OffloadConfig {
    fn default() -> Self {
        Self { threads: cores(), max_queue: 64 * cores() } // as for `Admission`
    }
}

impl Default for WatchdogConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(20),
            stall_warn: Duration::from_millis(100),
            dead_after: Duration::from_secs(60),
        }
    }
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { drain_delay: Duration::ZERO, grace: Duration::from_secs(25) }
    }
}

impl Default for PlatformConfig {
    fn default() -> Self {
        Self { termination_grace: Duration::from_secs(30), replicas: 1 }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("logs"),
            level: "info".to_owned(),
            format: LogFormat::Json,
            rotation: Rotation::Daily,
            max_files: 7,
            queue_size: ByteSize::mib(8),
            drain_timeout: Duration::from_secs(1),
            client_addr: false,
        }
    }
}
