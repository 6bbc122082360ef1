//! Who is connected?
//!
//! An accept loop of our own, since `axum::serve` sets no header timeout, tracks nothing and never gives
//! up at shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use metrics::gauge;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::Streams;
use super::connection::{Terms, protocol};
use crate::config;

/// Pause after the system refused a connection, out of file descriptors say. Higher: slower recovery.
/// Lower: a busy loop that fills the log.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How far shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    /// Still accepting; HTTP/2 clients are told to go elsewhere.
    Draining,
    /// Requests in flight finish, everything else closes.
    Stopping,
    Aborting,
}

/// The public listener, accepting.
pub struct Server {
    addr: SocketAddr,
    stage: watch::Sender<Stage>,
    stopping: CancellationToken,
    connections: TaskTracker,
    upgraded: TaskTracker,
}

/// Takes the port. Who connects from now on waits for [`Server::start`].
///
/// # Errors
/// The address is in use or not ours.
pub async fn bind(config: &config::ServerConfig) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(config.addr).await;
    bound.map_err(|error| format!("server.addr {}: {error}", config.addr))
}

impl Server {
    /// Begins to accept.
    ///
    /// # Errors
    /// The system does not tell the listener's address.
    pub fn start(
        listener: TcpListener,
        config: &config::ServerConfig,
        router: Router,
    ) -> Result<Self, String> {
        let addr = listener.local_addr().map_err(|error| error.to_string())?;
        let (stage, watching) = watch::channel(Stage::Serving);
        let (connections, upgraded) = (TaskTracker::new(), TaskTracker::new());
        let stopping = CancellationToken::new();
        let terms = Terms {
            http: protocol(config, Streams(connections.clone())),
            header_timeout: config.header_timeout,
            write_timeout: config.write_timeout,
            open: gauge!("http_connections"),
            stage: watching,
            stopping: stopping.clone(),
            upgraded: upgraded.clone(),
            router,
        };
        let slots = Arc::new(Semaphore::new(config.max_connections));
        let acceptor = Acceptor { slots, connections: connections.clone(), terms: Arc::new(terms) };
        // Tracked like a connection, so that none is accepted behind shutdown's back.
        connections.spawn(acceptor.run(listener));
        Ok(Self { addr, stage, stopping, connections, upgraded })
    }

    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn drain(&self) {
        self.stopping.cancel();
        self.stage.send_replace(Stage::Draining);
    }

    pub(crate) fn stop(&self) {
        self.stage.send_replace(Stage::Stopping);
        self.connections.close();
    }

    pub(crate) fn abort(&self) {
        self.stage.send_replace(Stage::Aborting);
    }

    pub(crate) fn connections(&self) -> TaskTracker {
        self.connections.clone()
    }

    /// How many connections have left HTTP and are open.
    pub(crate) fn upgraded(&self) -> usize {
        self.upgraded.len()
    }
}

struct Acceptor {
    slots: Arc<Semaphore>,
    connections: TaskTracker,
    terms: Arc<Terms>,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let mut stage = self.terms.stage.clone();
        let stopping = async { stage.wait_for(|stage| *stage >= Stage::Stopping).await.map(drop) };
        let accepting = async {
            loop {
                let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        self.connections.spawn(Arc::clone(&self.terms).serve(stream, peer, slot));
                    }
                    Err(error) if is_of_the_peer(&error) => {}
                    Err(error) => {
                        tracing::error!(error = %error, "cannot accept connections");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! { _ = stopping => {}, () = accepting => {} }
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
