//! The WebSockets: `/live` tells of each bookmark that is added, and `/echo` sends everything back.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use longpole::{Stopping, carry};

use crate::App;

pub fn routes() -> Router<App> {
    Router::new().route("/live", any(live)).route("/echo", any(echo))
}

async fn live(upgrade: WebSocketUpgrade, State(app): State<App>, stopping: Stopping) -> Response {
    let mut added = app.added.subscribe();
    upgrade.on_upgrade(carry(async move |mut socket: WebSocket| {
        loop {
            tokio::select! {
                () = stopping.0.cancelled() => return drop(socket.send(Message::Close(None)).await),
                message = socket.recv() => {
                    let Some(Ok(_)) = message else { return };
                }
                Ok(url) = added.recv() => {
                    if socket.send(Message::Text(url.into())).await.is_err() {
                        return;
                    }
                }
            }
        }
    }))
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}
