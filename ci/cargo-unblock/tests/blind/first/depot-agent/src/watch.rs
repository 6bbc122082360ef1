use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use depot_base::notify::Notifier;
use walkdir::WalkDir;

/// Tells what has changed.
pub trait Detector: Send + Sync {
    fn newest(&self) -> Option<SystemTime>;
    fn name(&self) -> String;
}

pub struct MtimeDetector {
    pub path: PathBuf,
}

impl Detector for MtimeDetector {
    fn newest(&self) -> Option<SystemTime> {
        std::fs::metadata(&self.path).and_then(|m| m.modified()).ok()
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

pub struct ClockDetector {
    pub start: SystemTime,
}

impl Detector for ClockDetector {
    fn newest(&self) -> Option<SystemTime> {
        Some(self.start)
    }

    fn name(&self) -> String {
        "clock".to_owned()
    }
}

pub fn detector_for(path: &Path) -> Arc<dyn Detector> {
    if path.as_os_str() == "clock" {
        Arc::new(ClockDetector { start: SystemTime::UNIX_EPOCH })
    } else {
        Arc::new(MtimeDetector { path: path.to_owned() })
    }
}

/// Waits for the first change below the path.
pub async fn first_change(path: &Path) -> io::Result<Option<SystemTime>> {
    let detector = detector_for(path); //~ OK only makes the detector
    let start = newest_of(detector.as_ref()); //~ BAD(dynamic) sync helper over &dyn Detector
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(100)).await; //~ OK tokio timer
        let now = detector.newest(); //~ BAD(dynamic) dyn Detector may be an MtimeDetector
        if now > start {
            return Ok(now);
        }
    }
    eprintln!("{} did not change", detector.name());
    Ok(None)
}

fn newest_of(detector: &dyn Detector) -> Option<SystemTime> {
    detector.newest()
}

pub async fn clock_change() -> Option<SystemTime> {
    let clock = ClockDetector { start: SystemTime::now() };
    tokio::task::yield_now().await;
    clock.newest() //~ OK ClockDetector by its type
}

pub async fn change_offloaded(path: PathBuf) -> Option<SystemTime> {
    let detector = detector_for(&path);
    let asked = tokio::task::spawn_blocking(move || detector.newest()); //~ OK in the blocking pool
    asked.await.ok().flatten()
}

/// Completes when the watched time differs.
pub struct Changed<D> {
    detector: D,
    known: Option<SystemTime>,
}

impl<D: Detector + Unpin> Future for Changed<D> {
    type Output = Option<SystemTime>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SystemTime>> {
        let now = self.detector.newest(); //~ BAD(dynamic) D is MtimeDetector in changed_file
        if now == self.known {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(now)
    }
}

pub fn changed_file(path: PathBuf) -> Changed<MtimeDetector> {
    Changed { detector: MtimeDetector { path }, known: None }
}

/// Calls back for each path that was found.
pub struct Walker {
    pub root: PathBuf,
    on_found: Vec<Box<dyn FnMut(&Path) + Send>>,
}

impl Walker {
    pub fn new(root: PathBuf) -> Self {
        Walker { root, on_found: Vec::new() }
    }

    pub fn on_found(&mut self, f: impl FnMut(&Path) + Send + 'static) {
        self.on_found.push(Box::new(f));
    }

    /// Tells all callbacks.
    pub fn found(&mut self, path: &Path) {
        for f in &mut self.on_found {
            f(path);
        }
    }
}

pub fn recording_walker(root: PathBuf, journal: PathBuf) -> Walker {
    let mut walker = Walker::new(root);
    walker.on_found(move |path| {
        let _ = depot_util::textio::append_line(&journal, &path.display().to_string());
    });
    walker
}

pub async fn walk(walker: &mut Walker) -> usize {
    let mut found = 0;
    for entry in WalkDir::new(&walker.root) { //~ BAD(method) walkdir reads directories
        if entry.is_ok() {
            found += 1;
        }
        tokio::task::yield_now().await;
    }
    let root = walker.root.clone();
    walker.found(&root); //~ BAD(dynamic) callbacks append to a journal
    found
}

pub async fn walk_offloaded(root: PathBuf) -> usize {
    let walker = WalkDir::new(root).max_depth(3); //~ OK builder, walked in the blocking pool
    let count = tokio::task::spawn_blocking(move || walker.into_iter().count()); //~ OK in the blocking pool
    count.await.unwrap_or(0)
}

pub async fn tell(notifiers: &[Box<dyn Notifier>], topic: &str) -> usize {
    let mut told = 0;
    for notifier in notifiers {
        if notifier.notify(topic, "changed").await.is_ok() {
            told += 1;
        }
    }
    told
}
