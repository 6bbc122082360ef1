use std::{collections::HashMap, path::PathBuf, sync::Arc};

use kit::store::{BlobStore, Cached, DiskStore, MemStore, Pacer};
use parking_lot::{Mutex, RwLock};

/// Rule applied to an uploaded body.
pub type Check = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;
/// Plain function pointers by extension.
pub type Prober = fn(&std::path::Path) -> u64;

#[derive(Clone)]
pub struct App(pub Arc<Inner>);

pub struct Inner {
    pub root: PathBuf,
    pub config: RwLock<kit::fsx::Config>,
    pub store: Arc<dyn BlobStore>,
    pub disk: Cached<DiskStore>,
    pub scratch: MemStore,
    pub sessions: Mutex<HashMap<String, u64>>,
    pub names: std::sync::RwLock<Vec<String>>,
    pub quota: tokio::sync::Mutex<u64>,
    pub legacy: Arc<kit::net::legacy::LegacyClient>,
    pub pacer: Box<dyn Pacer>,
    pub scan: Check,
    pub probers: HashMap<&'static str, Prober>,
    pub jobs: kit::offload::JobThread,
}

/// Start-up, synchronous; called by main before the runtime exists.
pub fn build(root: PathBuf, http: reqwest::blocking::Client) -> std::io::Result<App> {
    std::fs::create_dir_all(&root)?; //~ OK start-up code in a sync function
    let config = kit::fsx::load_config(&root.join("config.json"))?; //~ OK start-up code in a sync function
    let quarantine = root.join("quarantine");
    let mut probers: HashMap<&'static str, Prober> = HashMap::new();
    probers.insert("dir", kit::fsx::dir_size);
    Ok(App(Arc::new(Inner {
        config: RwLock::new(config),
        store: Arc::new(DiskStore { root: root.clone() }),
        disk: Cached::new(DiskStore { root: root.clone() }),
        scratch: MemStore::default(),
        sessions: Mutex::default(),
        names: Default::default(),
        quota: tokio::sync::Mutex::new(0),
        legacy: Arc::new(kit::net::legacy::LegacyClient::with_client(http, "http://legacy")),
        pacer: Box::new(kit::store::ThreadPacer(std::time::Duration::from_millis(20))),
        scan: Box::new(move |body| std::fs::write(&quarantine, body).is_ok()),
        probers,
        jobs: kit::offload::JobThread::start(),
        root,
    })))
}

impl Inner {
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Touches memory only.
    pub fn remember(&self, name: &str) -> usize {
        let mut g = self.names.write().unwrap();
        g.push(name.to_owned());
        g.len()
    }

    pub fn usage(&self) -> u64 {
        kit::fsx::dir_size(&self.root)
    }

    pub fn usage_report(&self) -> String {
        format!("{} bytes", self.usage())
    }
}
