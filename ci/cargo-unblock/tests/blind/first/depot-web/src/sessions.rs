//! Sessions, and the locks around them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use futures::lock::Mutex as FutMutex;
use parking_lot::{Mutex as PlMutex, RwLock as PlRwLock};
use tokio::sync::{Mutex as TokioMutex, RwLock as TokioRwLock};

#[derive(Clone, Debug, Default)]
pub struct Session {
    pub user: String,
    pub hits: u64,
}

#[derive(Default)]
pub struct Sessions {
    open: Mutex<HashMap<String, Session>>,
    limits: RwLock<HashMap<String, u64>>,
    recent: PlMutex<Vec<String>>,
    routes: PlRwLock<HashMap<String, String>>,
    peers: TokioMutex<Vec<String>>,
    topics: TokioRwLock<HashMap<String, u64>>,
    counters: FutMutex<HashMap<String, u64>>,
}

async fn send(to: &str, text: &str) -> bool {
    tokio::time::sleep(Duration::from_millis(to.len() as u64)).await; //~ OK tokio timer
    !text.is_empty()
}

fn finish(mut guard: MutexGuard<'_, HashMap<String, Session>>) -> usize {
    guard.retain(|_, s| s.hits > 0);
    guard.len()
}

impl Sessions {
    fn locked(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.open.lock().unwrap()
    }

    pub async fn greet(&self, key: &str) -> bool {
        let mut open = self.open.lock().unwrap(); //~ BAD(method) guard alive across send().await
        let session = open.entry(key.to_owned()).or_default();
        session.hits += 1;
        send(&session.user, "hello").await
    }

    pub async fn greet_dropped(&self, key: &str) -> bool {
        let mut open = self.open.lock().unwrap(); //~ OK dropped before the await
        let session = open.entry(key.to_owned()).or_default().clone();
        drop(open);
        send(&session.user, "hello").await
    }

    pub async fn greet_scoped(&self, key: &str) -> bool {
        let user = {
            let mut open = self.open.lock().unwrap(); //~ OK scoped in a block
            let session = open.entry(key.to_owned()).or_default();
            session.hits += 1;
            session.user.clone()
        };
        send(&user, "hello").await
    }

    pub async fn close_idle(&self) -> bool {
        let open = self.locked(); //~ OK guard moved into finish() before the await
        let left = finish(open);
        send("admin", &left.to_string()).await
    }

    pub async fn close_helper(&self) -> bool {
        let open = self.locked(); //~ BAD(method) guard from a helper alive across the await
        let sent = send("admin", "closing").await;
        sent && open.is_empty()
    }

    pub async fn limit_of(&self, user: &str) -> u64 {
        let limits = self.limits.read().unwrap(); //~ BAD(method) read guard alive across the await
        if send(user, "limit").await {
            limits.get(user).copied().unwrap_or(10)
        } else {
            0
        }
    }

    pub async fn limit_copied(&self, user: &str) -> u64 {
        let limit = self.limits.read().unwrap().get(user).copied(); //~ OK temporary guard ends with the statement
        if send(user, "limit").await { limit.unwrap_or(10) } else { 0 }
    }

    pub async fn raise_limit(&self, user: &str) {
        let mut limits = self.limits.write().unwrap(); //~ BAD(method) write guard alive across the await
        *limits.entry(user.to_owned()).or_insert(1) *= 2;
        tokio::task::yield_now().await;
    }

    pub async fn raise_limit_first(&self, user: &str) {
        tokio::task::yield_now().await;
        let mut limits = self.limits.write().unwrap(); //~ OK no await after the lock
        *limits.entry(user.to_owned()).or_insert(1) *= 2;
    }

    pub async fn remember(&self, text: &str) -> usize {
        let mut recent = self.recent.lock(); //~ BAD(method) parking_lot guard alive across the await
        recent.push(text.to_owned());
        send("history", text).await;
        recent.len()
    }

    pub async fn remember_quick(&self, text: &str) -> bool {
        self.recent.lock().push(text.to_owned()); //~ OK temporary parking_lot guard
        send("history", text).await
    }

    pub async fn route(&self, path: &str) -> bool {
        let routes = self.routes.read(); //~ BAD(method) parking_lot read guard alive across the await
        match routes.get(path) {
            Some(target) => send(target, path).await,
            None => false,
        }
    }

    pub async fn route_cloned(&self, path: &str) -> bool {
        let target = self.routes.read().get(path).cloned(); //~ OK temporary parking_lot guard
        match target {
            Some(target) => send(&target, path).await,
            None => false,
        }
    }

    pub async fn forward(&self, key: &str) -> bool {
        match self.open.lock().unwrap().get(key) { //~ BAD(method) scrutinee guard lives through the arms
            Some(session) => send(&session.user, "forward").await,
            None => false,
        }
    }

    pub async fn drain_recent(&self) -> usize {
        let mut sent = 0;
        while let Some(text) = self.recent.lock().pop() { //~ BAD(method) while-let guard lives through the body
            send("history", &text).await;
            sent += 1;
        }
        sent
    }

    pub async fn drain_recent_well(&self) -> usize {
        let mut sent = 0;
        loop {
            let next = self.recent.lock().pop(); //~ OK temporary guard ends with the statement
            let Some(text) = next else { return sent };
            send("history", &text).await;
            sent += 1;
        }
    }

    pub async fn notice(&self, key: &str) -> bool {
        if self.open.lock().unwrap().contains_key(key) { //~ OK guard of an if condition ends before the body
            return send(key, "notice").await;
        }
        false
    }

    pub async fn absent(&self, key: &str) -> bool {
        if let Some(session) = self.open.lock().unwrap().get(key) { //~ OK edition 2024 drops it before the else
            session.hits > 0
        } else {
            send(key, "absent").await
        }
    }

    pub async fn last_words(&self) -> bool {
        send("admin", &self.recent.lock().join(",")).await //~ BAD(method) temporary guard lives through the await
    }

    pub async fn try_remember(&self, text: &str) -> bool {
        let Some(mut recent) = self.recent.try_lock() else { //~ OK try_lock does not wait, dropped before the await
            return false;
        };
        recent.push(text.to_owned());
        drop(recent);
        send("history", text).await
    }

    pub async fn add_peer(&self, peer: &str) -> usize {
        let mut peers = self.peers.lock().await; //~ OK tokio mutex across an await
        peers.push(peer.to_owned());
        send(peer, "welcome").await;
        peers.len()
    }

    pub async fn publish(&self, topic: &str) -> u64 {
        let mut topics = self.topics.write().await; //~ OK tokio rwlock across an await
        let count = topics.entry(topic.to_owned()).or_default();
        *count += 1;
        send(topic, "published").await;
        *count
    }

    pub async fn count(&self, key: &str) -> u64 {
        let mut counters = self.counters.lock().await; //~ OK futures mutex across an await
        let n = counters.entry(key.to_owned()).or_default();
        *n += 1;
        send(key, "counted").await;
        *n
    }

    pub async fn peers_now(&self) -> usize {
        let peers = self.peers.blocking_lock(); //~ BAD(method) blocking_lock of a tokio mutex
        peers.len()
    }

    pub async fn peers_offloaded(self: Arc<Self>) -> usize {
        tokio::task::spawn_blocking(move || self.peers.blocking_lock().len()) //~ OK blocking_lock in the blocking pool
            .await
            .unwrap_or(0)
    }

    pub async fn hits(&self) -> u64 {
        let open = self.open.lock().unwrap(); //~ OK no await in this function
        open.values().map(|s| s.hits).sum()
    }
}
