//! A client of HTTP/2, without TLS.

use std::time::Duration;

use reqwest::{Client, Response};
use tokio::time::sleep;

use super::Service;

/// Takes no more of an answer than the protocol's first 64 KiB before it reads.
#[expect(clippy::disallowed_methods, reason = "a test's own")]
pub fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().http2_prior_knowledge().tls_certs_only([]);
    client
        .http2_initial_stream_window_size(65_535)
        .http2_initial_connection_window_size(1 << 20)
        .build()
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test's own")]
pub async fn get(client: &Client, service: &Service, path: &str, id: &str) -> Response {
    let url = format!("http://{}{path}", service.public);
    let response = client.get(url).header("x-request-id", id).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// Reads it slowly. Returns how many bytes there were, and whether that was the end of it.
pub async fn read_slowly(mut response: Response, pause: Duration) -> (usize, bool) {
    let mut length = 0;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => length += chunk.len(),
            Ok(None) => return (length, true),
            Err(_) => return (length, false),
        }
        sleep(pause).await;
    }
}
