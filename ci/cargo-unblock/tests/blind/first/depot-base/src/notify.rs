use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

#[async_trait]
pub trait Notifier: Send + Sync {
    async fn notify(&self, topic: &str, text: &str) -> io::Result<()>;
}

/// Drops files into a directory with tokio.
pub struct DropBox {
    pub dir: PathBuf,
}

#[async_trait]
impl Notifier for DropBox {
    async fn notify(&self, topic: &str, text: &str) -> io::Result<()> {
        let path = self.dir.join(topic);
        tokio::fs::create_dir_all(&self.dir).await?; //~ OK tokio::fs
        tokio::fs::write(path, text).await //~ OK tokio::fs
    }
}

/// Runs the site's own script.
pub struct Script {
    pub program: String,
}

#[async_trait]
impl Notifier for Script {
    async fn notify(&self, topic: &str, text: &str) -> io::Result<()> {
        let mut command = std::process::Command::new(&self.program);
        command.arg(topic).arg(text);
        let status = command.status()?; //~ BAD(method) waits for the process
        if status.success() { Ok(()) } else { Err(io::Error::other("script failed")) }
    }
}

/// Sends over a plain socket.
pub struct Wall {
    pub addr: String,
}

#[async_trait]
impl Notifier for Wall {
    async fn notify(&self, topic: &str, text: &str) -> io::Result<()> {
        for pause in [10, 100, 1000] {
            if announce(&self.addr, topic, text).is_ok() { //~ BAD(transitive) connects and writes to a std socket
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(pause)).await; //~ OK tokio timer
        }
        Err(io::Error::other("nobody listens"))
    }
}

fn announce(addr: &str, topic: &str, text: &str) -> io::Result<()> {
    use std::io::Write;
    let mut socket = std::net::TcpStream::connect(addr)?;
    socket.write_all(topic.as_bytes())?;
    socket.write_all(text.as_bytes())
}
