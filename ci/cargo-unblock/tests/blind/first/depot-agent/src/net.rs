use std::io::{self, BufRead, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub async fn banner_of(addr: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect(addr)?; //~ BAD(direct) std connect
    socket.write_all(b"HELO\r\n")?; //~ BAD(method) write to a std socket
    let mut line = String::new();
    let mut reader = io::BufReader::new(socket);
    reader.read_line(&mut line)?; //~ BAD(method) read from a std socket
    Ok(line)
}

pub async fn banner_tokio(addr: &str) -> io::Result<String> {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(addr).await?; //~ OK tokio::net
    AsyncWriteExt::write_all(&mut socket, b"HELO\r\n").await?; //~ OK tokio socket
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(socket);
    AsyncBufReadExt::read_line(&mut reader, &mut line).await?; //~ OK tokio socket
    Ok(line)
}

pub async fn serve(listener: TcpListener) -> io::Result<usize> {
    let (mut first, _) = listener.accept()?; //~ BAD(method) std accept
    let mut buf = [0; 512];
    let mut total = first.read(&mut buf)?; //~ BAD(method) read from a std socket
    for socket in listener.incoming() { //~ BAD(method) accepts in a loop
        total += usize::from(socket.is_ok());
        tokio::task::yield_now().await;
    }
    Ok(total)
}

pub async fn serve_tokio(listener: tokio::net::TcpListener) -> io::Result<usize> {
    let (socket, _) = listener.accept().await?; //~ OK tokio accept
    let mut buf = [0; 512];
    socket.readable().await?;
    socket.try_read(&mut buf) //~ OK try_read does not wait
}

pub async fn discover(socket: &UdpSocket) -> io::Result<usize> {
    let mut buf = [0; 512];
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let (n, _) = socket.recv_from(&mut buf)?; //~ BAD(method) std UDP receive
    Ok(n)
}

pub async fn discover_tokio(socket: &tokio::net::UdpSocket) -> io::Result<usize> {
    let mut buf = [0; 512];
    let (n, _) = socket.recv_from(&mut buf).await?; //~ OK tokio UDP receive
    Ok(n)
}

pub async fn control(path: &str) -> io::Result<Vec<u8>> {
    let socket = UnixStream::connect(path)?; //~ BAD(direct) std unix socket
    let mut answer = Vec::new();
    let mut limited = socket.take(64);
    limited.read_to_end(&mut answer)?; //~ BAD(method) read from a std socket
    Ok(answer)
}

pub async fn control_offloaded(path: String) -> io::Result<Vec<u8>> {
    let talk = move || {
        let mut socket = UnixStream::connect(path)?; //~ OK closure goes to a blocking task
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?; //~ OK closure goes to a blocking task
        Ok(answer)
    };
    depot_util::offload::offload(talk).await
}

pub async fn relay(from: TcpStream, to: TcpStream) -> io::Result<u64> {
    let (mut from, mut to) = (from, to);
    let copied = io::copy(&mut from, &mut to)?; //~ BAD(direct) copies between std sockets
    tokio::task::yield_now().await;
    Ok(copied)
}

pub async fn relay_tokio(mut from: tokio::net::TcpStream, mut to: tokio::net::TcpStream) -> io::Result<u64> {
    tokio::io::copy(&mut from, &mut to).await //~ OK tokio copy
}

/// Sends lines to whatever the writer is.
pub async fn send_lines<W: Write>(out: &mut W, lines: &[String]) -> io::Result<()> {
    for line in lines {
        out.write_all(line.as_bytes())?; //~ BAD(dynamic) W is a TcpStream in send_to
        tokio::task::yield_now().await;
    }
    Ok(())
}

pub async fn send_to(mut socket: TcpStream, lines: &[String]) -> io::Result<()> {
    send_lines(&mut socket, lines).await
}

/// A sink behind a trait object.
pub async fn send_boxed(out: &mut Box<dyn Write + Send>, line: &str) -> io::Result<()> {
    out.write_all(line.as_bytes()) //~ BAD(dynamic) open_sink gives a file or a socket
}

pub fn open_sink(target: &str) -> io::Result<Box<dyn Write + Send>> {
    match target.strip_prefix("tcp:") {
        Some(addr) => Ok(Box::new(TcpStream::connect(addr)?)),
        None => Ok(Box::new(std::fs::File::create(target)?)),
    }
}

pub async fn send_opened(target: &str) -> io::Result<()> {
    let mut sink = open_sink(target)?; //~ BAD(transitive) connects or creates a file
    send_boxed(&mut sink, "hello").await
}
