use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, thread};

use kit::types::Level;

/// One sub-command.
#[async_trait::async_trait]
trait Command: Send + Sync {
    fn name(&self) -> &'static str;
    fn prepare(&self, args: &[String]) -> Result<(), String>;
    async fn exec(&self, args: &[String]) -> Result<i32, String>;
}

struct Import;
struct Version;

#[async_trait::async_trait]
impl Command for Import {
    fn name(&self) -> &'static str {
        "import"
    }
    fn prepare(&self, args: &[String]) -> Result<(), String> {
        let dir = args.first().ok_or("no directory")?;
        fs::create_dir(dir).map_err(|e| e.to_string())
    }
    async fn exec(&self, args: &[String]) -> Result<i32, String> {
        let mut n = 0;
        for a in args {
            n += import_one(Path::new(a)).await.map_err(|e| e.to_string())?;
        }
        Ok(n)
    }
}

#[async_trait::async_trait]
impl Command for Version {
    fn name(&self) -> &'static str {
        "version"
    }
    fn prepare(&self, _: &[String]) -> Result<(), String> {
        Ok(())
    }
    async fn exec(&self, args: &[String]) -> Result<i32, String> {
        self.prepare(args)?; //~ OK concrete Version::prepare does nothing
        Ok(0)
    }
}

fn commands() -> Vec<Box<dyn Command>> {
    vec![Box::new(Import), Box::new(Version)]
}

pub async fn run(args: Vec<String>) -> i32 {
    let Some((cmd, rest)) = args.split_first() else { return 2 };
    for c in commands() {
        if c.name() == cmd { //~ OK dyn method that blocks in no implementation
            return match dispatch(c.as_ref(), rest).await {
                Ok(code) => code,
                Err(_) => 1,
            };
        }
    }
    confirm("unknown command, continue?").await as i32
}

async fn dispatch(c: &dyn Command, args: &[String]) -> Result<i32, String> {
    c.prepare(args)?; //~ BAD(dynamic) &dyn Command, Import::prepare makes a directory
    c.exec(args).await
}

async fn import_one(path: &Path) -> io::Result<i32> {
    let text = tokio::fs::read_to_string(path).await?; //~ OK tokio fs
    let mut n = 0;
    for line in text.lines() { //~ OK str::lines
        n += line.parse::<Level>().is_ok() as i32; //~ OK own FromStr in memory
    }
    let done = path.with_extension("done");
    fs::rename(path, done)?; //~ BAD(direct) fs::rename
    Ok(n)
}

pub async fn confirm(question: &str) -> bool {
    let stdin = io::stdin();
    if !stdin.is_terminal() { //~ OK does not read
        return false;
    }
    let mut answer = String::with_capacity(question.len());
    stdin.read_line(&mut answer).ok(); //~ BAD(method) Stdin::read_line
    let second = stdin.lines().next(); //~ BAD(method) next line of stdin
    answer.trim() == "y" || second.is_some()
}

pub async fn confirm_async() -> io::Result<bool> {
    use tokio::io::AsyncBufReadExt;
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines(); //~ OK tokio stdin
    Ok(lines.next_line().await?.is_some_and(|l| l == "y")) //~ OK tokio stdin
}

pub async fn pipe_in() -> io::Result<usize> {
    let all = io::read_to_string(io::stdin())?; //~ BAD(direct) io::read_to_string over stdin
    let part = io::read_to_string(&all.as_bytes()[..4])?; //~ OK io::read_to_string in memory
    let mut sink = io::sink();
    let n = io::copy(&mut part.as_bytes(), &mut sink)?; //~ OK copy in memory
    Ok(n as usize)
}

pub async fn concat(out: PathBuf, parts: &[PathBuf]) -> io::Result<u64> {
    let mut dst = fs::OpenOptions::new().append(true).create(true).open(out)?; //~ BAD(method) OpenOptions::open
    let mut n = 0;
    for p in parts {
        let mut src = fs::File::open(p)?; //~ BAD(direct) File::open
        n += io::copy(&mut src, &mut dst)?; //~ BAD(direct) io::copy between files
    }
    dst.set_len(n)?; //~ BAD(method) File::set_len
    Ok(n)
}

pub async fn cleanup(dir: PathBuf) -> io::Result<()> {
    let cwd = dir.join(env::consts::OS);
    let tmp = tempfile::NamedTempFile::new_in(&dir)?; //~ BAD(direct) NamedTempFile::new_in
    let hold = tmp.path().to_owned(); //~ OK accessor
    let work = tempfile::tempdir()?; //~ BAD(direct) tempdir
    tokio::fs::copy(&hold, cwd).await?; //~ OK tokio fs
    tokio::task::spawn_blocking(move || { drop((tmp, work)); }).await?; //~ OK deletion on the pool
    fs::set_permissions(&hold, fs::Permissions::from(perm()))?; //~ BAD(direct) set_permissions
    Ok(())
}

fn perm() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o600) //~ OK builds a value
}

/// Never on the runtime.
fn spinner(stop: &std::sync::atomic::AtomicBool) {
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(80)); //~ OK thread function
        io::stdout().flush().ok(); //~ OK thread function
    }
}

pub async fn with_spinner() {
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let s = stop.clone();
    thread::spawn(move || spinner(&s)); //~ OK in a thread
    tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>()).await.ok(); //~ OK tokio timeout
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
}

/// Synchronous entry of another binary.
pub fn sync_tool(path: &Path) -> io::Result<String> {
    let mut s = String::new();
    fs::File::open(path)?.read_to_string(&mut s)?; //~ OK sync only
    let rt = tokio::runtime::Builder::new_current_thread().build()?;
    rt.block_on(async { s.push('x') }); //~ OK block_on in sync code
    Ok(s)
}
