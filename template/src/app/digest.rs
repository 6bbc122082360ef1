//! `POST /digest`: CPU work that runs outside the event loop.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use longpole::{Body, Json, Problem};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/digest", post(digest))
}

#[derive(Serialize)]
struct Digest {
    bytes: usize,
    sha256: String,
}

async fn digest(State(app): State<App>, Body(body): Body) -> Result<Json<Digest>, Problem> {
    let bytes = body.len();
    let sha256 = if bytes as u64 > app.settings.digest_offload_above.as_u64() {
        app.offload
            .run(move || {
                let digest = sha256(&body);
                tracing::info!(bytes, "digest computed off the event loop");
                digest
            })
            .await?
    } else {
        sha256(&body)
    };
    Ok(Json(Digest { bytes, sha256 }))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
