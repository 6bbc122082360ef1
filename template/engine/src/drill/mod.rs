//! How does the service show each bottleneck on demand?
//!
//! These routes do on purpose what the engine exists to prevent, so that you see what the service says about it. They
//! are there only with the cargo feature `drill`. A release with this feature refuses to start without
//! `LONGPOLE_DRILL=1`.
//!
//! There is a route for each phase. Some phases need a second request that gets in the way:
//!
//! | phase | request | second request |
//! |---|---|---|
//! | `admission` | anything | `/drill/hold-places/MS` |
//! | `request_body` | `POST /drill/read`, and send slowly | |
//! | `db_wait` | `/drill/query/0` | `/drill/hold-all/MS` |
//! | `db_connect` | `/drill/connect/MS` (it only sleeps in this phase, because opening a file is not slow) | |
//! | `db_query` | `/drill/query/MS` | |
//! | `http_wait` | `/drill/call/0` | more than `http_client.max_per_host` of `/drill/call/MS` |
//! | `http_upstream` | `/drill/call/MS` | |
//! | `offload_wait` | `/drill/offload/0` | more than `offload.threads` of `/drill/offload/MS` |
//! | `offload_run` | `/drill/offload/MS` | |
//! | `loop_delay` | anything | `/drill/block-all/MS` |
//! | `cpu` | `/drill/spin/MS` | |
//! | `response_body` | `/drill/bytes/20000000`, and read slowly | |
//! | `other` | `/drill/sleep/MS` | |
//! | `mail`, a name of the owner's | `/drill/named/MS` | |

mod bodies;
mod calls;
#[cfg(feature = "_database")]
mod database;
mod event_loop;
mod lines;
mod tasks;

use axum::Router;

use super::links::Links;

pub(super) fn routes(links: &Links) -> Router {
    let routes = Router::new()
        .merge(event_loop::routes(links))
        .merge(bodies::routes())
        .merge(calls::routes(links))
        .merge(tasks::routes(links))
        .merge(lines::routes());
    #[cfg(feature = "_database")]
    let routes = routes.merge(database::routes(links));
    routes
}
