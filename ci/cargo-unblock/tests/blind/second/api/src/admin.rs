use std::fs::read_to_string as slurp;
use std::process::Command as Cmd;
use std::thread as th;
use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use kit::{net, offload, proc as tools, types::{Level, Secret, Snapshot}};

use crate::state::App;

pub async fn reload(State(App(app)): State<App>) -> StatusCode {
    let path = app.root.join("config.json");
    let Ok(text) = slurp(&path) else { //~ BAD(direct) renamed import of read_to_string
        return StatusCode::NOT_FOUND;
    };
    let Ok(cfg) = kit::fsx::parse_config(&text) else { //~ OK in memory
        return StatusCode::BAD_REQUEST;
    };
    {
        let mut g = app.config.write(); //~ OK guard scoped before the await
        *g = cfg;
    }
    app.pacer.pace(); //~ BAD(dynamic) Box<dyn Pacer> built as ThreadPacer
    tokio::time::sleep(Duration::from_millis(5)).await; //~ OK tokio time
    let n = app.config.read().workers; //~ OK temporary guard
    let mut q = app.quota.lock().await; //~ OK tokio mutex
    tokio::task::yield_now().await;
    *q = n as u64;
    StatusCode::OK
}

pub async fn version() -> Result<Json<Vec<String>>, StatusCode> {
    let mut v = vec![];
    v.push(tools::git_rev().unwrap_or_default()); //~ BAD(transitive) git_rev -> run -> Command::output
    let out = Cmd::new("uname").arg("-r").output().map_err(|_| StatusCode::BAD_GATEWAY)?; //~ BAD(method) Command::output through an alias
    v.push(String::from_utf8_lossy(&out.stdout).into_owned());
    let out = tokio::process::Command::new("uname").output().await; //~ OK tokio process
    if let Ok(o) = out {
        v.push(String::from_utf8_lossy(&o.stdout).into_owned());
    }
    let st = tools::quiet("true").status(); //~ BAD(method) Command::status on a built command
    v.push(format!("{:?}", st.ok()));
    let rev = tokio::task::spawn_blocking(tools::git_rev).await; //~ OK function value offloaded
    v.push(rev.ok().flatten().unwrap_or_default());
    Ok(Json(v))
}

pub async fn health(State(App(app)): State<App>) -> StatusCode {
    let url = app.legacy.url("ready"); //~ OK only formats
    let report = app.usage_report(); //~ BAD(transitive) usage_report -> usage -> dir_size
    if report.len() > 64 || url.is_empty() {
        return StatusCode::INSUFFICIENT_STORAGE;
    }
    let up = app.legacy.ready(); //~ BAD(transitive) ready -> get_text -> send, a blocking client
    let legacy = app.legacy.clone();
    let up2 = offload::blocking(move || legacy.ready()).await; //~ OK own wrapper
    net::legacy::push_metric("health 1").ok(); //~ BAD(transitive) TcpStream::connect and write
    let sent = app.jobs.call(|| net::legacy::push_metric("health 1").is_ok()).await; //~ OK runs on the job thread
    if up && up2 && sent.unwrap_or(false) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

pub async fn rotate_secret(spec: &str, level: &str) -> Result<(String, Level), String> {
    let lv = level.parse::<Level>()?; //~ OK own FromStr in memory
    let s: Secret = spec.parse().map_err(|e: std::io::Error| e.to_string())?; //~ BAD(dynamic) own FromStr reads a file
    th::sleep(Duration::from_millis(50)); //~ BAD(direct) sleep through a module alias
    let t = kit::types::Secret::clone(&s); //~ OK derived clone
    Ok((t.0, lv))
}

pub async fn snapshot(path: &std::path::Path) -> usize {
    let mem = Snapshot::from(vec![1, 2, 3]); //~ OK From of a Vec
    let disk = Snapshot::from(path); //~ BAD(dynamic) own From<&Path> reads a file
    let into: Snapshot = path.into(); //~ BAD(dynamic) into() to the own From<&Path>
    let back: Snapshot = vec![0u8; 4].into(); //~ OK into() from a Vec
    mem.0.len() + disk.0.len() + into.0.len() + back.0.len()
}

pub async fn measure(app: &crate::state::Inner, kind: &str) -> u64 {
    let Some(p) = app.probers.get(kind).copied() else { return 0 };
    let root = app.root.clone();
    let off = tokio::task::spawn_blocking(move || p(&root)).await.unwrap_or(0); //~ OK fn pointer in spawn_blocking
    let here = p(&app.root); //~ BAD(dynamic) fn pointer out of a map, dir_size
    off.max(here)
}

pub async fn lookup(host: &str) -> Vec<String> {
    let mut all = vec![];
    if let Ok(it) = tokio::net::lookup_host((host, 80)).await { //~ OK tokio lookup
        all.extend(it.map(|a| a.to_string()));
    }
    if let Ok(it) = net::resolve(host, 443) { //~ BAD(transitive) to_socket_addrs resolves names
        all.extend(it.iter().map(ToString::to_string));
    }
    all.push(net::banner(host).unwrap_or_default()); //~ BAD(transitive) resolve, connect, read
    all
}

pub async fn dump_threads(out: std::path::PathBuf) {
    let text = String::from("threads");
    let h = th::spawn(move || std::fs::write(out, text)); //~ OK in a thread
    if h.is_finished() { //~ OK is_finished does not wait
        return;
    }
    let _ = h.join(); //~ BAD(method) JoinHandle::join
}

pub async fn set_tasks() -> usize {
    let mut set = tokio::task::JoinSet::new();
    for i in 0..3u64 {
        set.spawn(async move {
            tokio::time::sleep(Duration::from_millis(i)).await; //~ OK tokio time
            std::thread::sleep(Duration::from_millis(i)); //~ BAD(direct) sleep in a spawned task
        });
    }
    let mut n = 0;
    while set.join_next().await.is_some() { //~ OK JoinSet
        n += 1;
    }
    n
}
