use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use depot_base::audit::AuditLog;
use depot_base::cache::{LoadingCache, TextCache};
use depot_base::config::Settings;
use depot_base::db::Db;
use depot_base::hooks::{self, Hooks};
use depot_base::store::{self, FsStore, MemStore, Namespaced, ObjectStore};

/// How an unknown key is answered.
pub type Fallback = fn(&str) -> Option<String>;

#[derive(Clone)]
pub struct AppState {
    pub settings: Arc<RwLock<Settings>>,
    pub store: Arc<dyn ObjectStore>,
    pub scratch: Arc<MemStore>,
    pub shared: Arc<Namespaced<FsStore>>,
    pub db: Arc<Db>,
    pub audit: AuditLog,
    pub hooks: Arc<Hooks>,
    pub banners: Arc<LoadingCache>,
    pub texts: Arc<TextCache>,
    pub fallback: Fallback,
    pub root: PathBuf,
    pub renderers: Arc<HashMap<&'static str, Box<dyn Fn(&str) -> String + Send + Sync>>>,
}

impl AppState {
    /// Opens all parts; for sync start-up code.
    pub fn open(root: PathBuf) -> Result<AppState, Box<dyn std::error::Error>> {
        std::fs::create_dir_all(&root)?; //~ OK sync start-up function, never called from async code
        let settings = Settings::load(&root)?; //~ OK sync start-up function, never called from async code
        let url = settings.get("store").unwrap_or("mem:").to_owned();
        Ok(AppState {
            store: Arc::from(store::by_url(&url)),
            scratch: Arc::new(MemStore::default()),
            shared: Arc::new(Namespaced { prefix: "shared".into(), inner: FsStore::at(&root) }),
            db: Arc::new(Db::open(&root.join("depot.db"))?),
            audit: AuditLog::create(&root.join("audit.log"))?,
            hooks: Arc::new(hooks::standard_hooks(root.join("journal"))),
            banners: Arc::new(LoadingCache::of_files("/etc/depot/banners")),
            texts: Arc::new(TextCache::default()),
            fallback: read_fallback,
            settings: Arc::new(RwLock::new(settings)),
            renderers: Arc::new(renderers()),
            root,
        })
    }
}

fn read_fallback(key: &str) -> Option<String> {
    std::fs::read_to_string(format!("/usr/share/depot/{key}")).ok()
}

fn renderers() -> HashMap<&'static str, Box<dyn Fn(&str) -> String + Send + Sync>> {
    let mut map: HashMap<&'static str, Box<dyn Fn(&str) -> String + Send + Sync>> = HashMap::new();
    map.insert("plain", Box::new(|text| text.to_owned()));
    map.insert("template", Box::new(|text| {
        let frame = std::fs::read_to_string("/usr/share/depot/frame.html").unwrap_or_default();
        frame.replace("{}", text)
    }));
    map
}
