use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

pub fn resolve(host: &str, port: u16) -> io::Result<Vec<std::net::SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

pub fn banner(host: &str) -> io::Result<String> {
    let addr = resolve(host, 25)?.into_iter().next().ok_or(io::ErrorKind::NotFound)?;
    let mut s = TcpStream::connect_timeout(&addr, Duration::from_secs(2))?;
    let mut buf = [0u8; 256];
    let n = s.read(&mut buf)?;
    Ok(String::from_utf8_lossy(&buf[..n]).into_owned())
}

pub mod legacy {
    use super::*;

    /// Old synchronous client.
    pub struct LegacyClient {
        http: reqwest::blocking::Client,
        base: String,
    }

    impl LegacyClient {
        pub fn with_client(http: reqwest::blocking::Client, base: &str) -> Self {
            Self { http, base: base.to_owned() }
        }

        /// Only formats.
        pub fn url(&self, path: &str) -> String {
            format!("{}/{}", self.base, path)
        }

        pub fn get_text(&self, path: &str) -> Option<String> {
            self.send(path).and_then(|r| r.text().ok())
        }

        fn send(&self, path: &str) -> Option<reqwest::blocking::Response> {
            self.http.get(self.url(path)).send().ok()
        }

        pub fn ready(&self) -> bool {
            self.get_text("ready").is_some_and(|t| t == "ok")
        }
    }

    pub fn push_metric(line: &str) -> io::Result<()> {
        let mut s = TcpStream::connect("metrics.internal:2003")?;
        s.write_all(line.as_bytes())
    }
}
