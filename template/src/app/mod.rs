//! Your floor: routes, handlers, queries, background work.
//!
//! [`start`] is where a route or a background task is added. The examples show one of each kind:
//! [`hello`] waits for nothing, [`items`] is the database, [`quote`] asks another service, [`digest`] is CPU
//! work, [`item_count`] works in the background. Throw them away when you have your own.

mod digest;
mod hello;
mod item_count;
mod items;
mod quote;
mod settings;

use axum::Router;
use longpole::{Db, HttpClient, Links, Migrations, Offload, step};

pub use self::settings::Settings;

/// What every handler can reach, as `State<App>`. Cheap to clone.
#[derive(Clone)]
struct App {
    db: Db,
    http: HttpClient,
    offload: Offload,
    settings: Settings,
}

/// Builds the routes and starts the background work. Called once, when the links are open.
pub fn start(links: &Links, settings: &Settings) -> Router {
    let db = links.db.clone();
    links.background.start("item count", |stop| item_count::keep(db, stop));

    let app = App {
        db: links.db.clone(),
        http: links.http.clone(),
        offload: links.offload.clone(),
        settings: settings.clone(),
    };
    let routes = Router::new().merge(hello::routes()).merge(items::routes());
    routes.merge(quote::routes()).merge(digest::routes()).with_state(app)
}

/// The schema, step by step. A step that was released is never edited: add another.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations::new([step(1, "items", include_str!("../../migrations/0001_items.sql"))])
}
