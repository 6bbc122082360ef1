use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Event {
    pub topic: String,
    pub detail: String,
}

pub type Hook = Box<dyn Fn(&Event) -> io::Result<()> + Send + Sync>;

#[derive(Default)]
pub struct Hooks {
    by_topic: HashMap<String, Vec<Hook>>,
}

impl Hooks {
    pub fn on(&mut self, topic: &str, hook: Hook) {
        self.by_topic.entry(topic.to_owned()).or_default().push(hook);
    }

    pub fn of(&self, topic: &str) -> &[Hook] {
        self.by_topic.get(topic).map_or(&[], Vec::as_slice)
    }

    pub fn fire(&self, event: &Event) -> io::Result<()> {
        for hook in self.of(&event.topic) {
            hook(event)?;
        }
        Ok(())
    }
}

/// The hooks of the service: a journal of what was created.
pub fn standard_hooks(journal: PathBuf) -> Hooks {
    let mut hooks = Hooks::default();
    hooks.on("created", Box::new(move |e| depot_util::textio::append_line(&journal, &e.detail)));
    hooks.on("deleted", Box::new(remove_blob));
    hooks
}

fn remove_blob(event: &Event) -> io::Result<()> {
    std::fs::remove_file(&event.detail)
}

pub type Migration = fn(&Path) -> io::Result<()>;

pub const MIGRATIONS: &[(&str, Migration)] = &[("layout", make_layout), ("marker", write_marker)];

fn make_layout(root: &Path) -> io::Result<()> {
    std::fs::create_dir_all(root.join("objects"))
}

fn write_marker(root: &Path) -> io::Result<()> {
    std::fs::write(root.join("VERSION"), b"3")
}

pub type Formatter = fn(&str) -> String;

pub const FORMATTERS: &[(&str, Formatter)] = &[("upper", shout), ("quote", quote)];

fn shout(text: &str) -> String {
    text.to_uppercase()
}

fn quote(text: &str) -> String {
    format!("{text:?}")
}

pub async fn migrate(root: &Path) -> io::Result<usize> {
    let mut done = 0;
    for (_name, step) in MIGRATIONS {
        step(root)?; //~ BAD(dynamic) function pointers that touch the disk
        done += 1;
        tokio::task::yield_now().await;
    }
    Ok(done)
}

pub async fn migrate_offloaded(root: PathBuf) -> io::Result<usize> {
    tokio::task::spawn_blocking(move || {
        let mut done = 0;
        for (_name, step) in MIGRATIONS {
            step(&root)?; //~ OK runs in the blocking pool
            done += 1;
        }
        Ok(done)
    })
    .await
    .expect("migration panicked")
}

pub async fn decorate(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (_name, format) in FORMATTERS {
        out.push(format(text)); //~ OK all formatters work in memory
        tokio::task::yield_now().await;
    }
    out
}
