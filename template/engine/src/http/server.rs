//! Who is connected?
//!
//! The accept loop is our own, because `axum::serve` sets no header timeout, tracks nothing and never gives up at
//! shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use metrics::gauge;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::answer::Streams;
use super::connection::{Terms, protocol};
use crate::config;
use crate::life::{Life, Stage};

/// The pause after the system has refused a connection, for example because no file descriptor is left. Higher: the
/// service recovers more slowly. Lower: a busy loop fills the log.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The public listener, accepting until [`Stage::Stopping`].
pub struct Server {
    addr: SocketAddr,
    connections: TaskTracker,
    upgraded: TaskTracker,
}

/// Takes the port. A client that connects from now on waits for [`Server::start`].
///
/// # Errors
/// The address is in use, or it is not an address of this machine.
pub async fn bind(config: &config::ServerConfig) -> Result<TcpListener, BindError> {
    let addr = config.addr;
    TcpListener::bind(addr).await.map_err(|source| BindError { addr, source })
}

/// The public port cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("server.addr {addr}")]
pub struct BindError {
    addr: SocketAddr,
    source: io::Error,
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
        life: &Life,
    ) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let (connections, upgraded) = (TaskTracker::new(), TaskTracker::new());
        let terms = Terms {
            http: protocol(config, Streams(connections.clone())),
            header_timeout: config.header_timeout,
            write_timeout: config.write_timeout,
            open: gauge!("http_connections"),
            life: life.clone(),
            upgraded: upgraded.clone(),
            router,
        };
        let slots = Arc::new(Semaphore::new(config.max_connections));
        let acceptor = Acceptor { slots, connections: connections.clone(), terms: Arc::new(terms) };
        // The acceptor is tracked like a connection, so that none comes after the shutdown has seen the last one end.
        connections.spawn(acceptor.run(listener));
        Ok(Self { addr, connections, upgraded })
    }

    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until the last connection has ended. It is for the shutdown, because the acceptor ends at
    /// [`Stage::Stopping`].
    pub(crate) fn finish(&self) -> impl Future<Output = ()> + Send + 'static {
        let connections = self.connections.clone();
        async move {
            connections.close();
            connections.wait().await;
        }
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
        let stopping = self.terms.life.reached(Stage::Stopping);
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
        tokio::select! { () = stopping => {}, () = accepting => {} }
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
