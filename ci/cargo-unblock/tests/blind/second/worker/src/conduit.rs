//! Sockets, streams and bridges between threads and tasks.
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use kit::poll::{Bridge, LineStream, NapUntil, PollingBridge};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;

pub async fn legacy_push(addr: SocketAddr, data: &[u8]) -> io::Result<usize> {
    let mut s = TcpStream::connect(addr)?; //~ BAD(direct) TcpStream::connect
    s.set_nodelay(true)?; //~ OK an option only
    s.write_all(data)?; //~ BAD(method) write_all on a socket
    let mut buf = [0u8; 64];
    let n = s.read(&mut buf)?; //~ BAD(method) read on a socket
    Ok(n)
}

pub async fn modern_push(addr: SocketAddr, data: &[u8]) -> io::Result<usize> {
    let mut s = tokio::net::TcpStream::connect(addr).await?; //~ OK tokio net
    s.write_all(data).await?; //~ OK tokio net
    let mut buf = [0u8; 64];
    s.read(&mut buf).await //~ OK tokio net
}

pub async fn legacy_probe(addr: &SocketAddr) -> bool {
    TcpStream::connect_timeout(addr, Duration::from_secs(1)).is_ok() //~ BAD(direct) connect_timeout
}

pub async fn legacy_accept(l: TcpListener, u: UdpSocket) -> io::Result<usize> {
    let (_peer, from) = l.accept()?; //~ BAD(method) TcpListener::accept
    let mut buf = [0u8; 512];
    let (n, _) = u.recv_from(&mut buf)?; //~ BAD(method) UdpSocket::recv_from
    let mut served = 0;
    for c in l.incoming() { //~ BAD(method) incoming() accepts
        served += c.is_ok() as usize;
        if served > 3 {
            break;
        }
    }
    Ok(n + served + from.port() as usize)
}

pub async fn modern_accept(l: tokio::net::TcpListener, u: tokio::net::UdpSocket) -> io::Result<usize> {
    let (mut peer, _) = l.accept().await?; //~ OK tokio net
    let mut buf = [0u8; 512];
    let (n, _) = u.recv_from(&mut buf).await?; //~ OK tokio net
    peer.shutdown().await?; //~ OK tokio net
    Ok(n)
}

pub async fn nap() {
    NapUntil(Instant::now() + Duration::from_millis(5)).await;
}

pub async fn tail_file(f: File) -> usize {
    let mut s = LineStream { reader: BufReader::new(f) }; //~ OK only wraps
    let mut n = 0;
    while let Some(l) = s.next().await {
        n += l.len();
    }
    let mem = LineStream { reader: Cursor::new(vec![b'x'; 10]) }; //~ OK memory reader
    n + mem.count().await
}

pub async fn merge(a: mpsc::Receiver<u64>, b: mpsc::Receiver<u64>) -> u64 {
    let left = Bridge { rx: a }.fold(0, |s, v| async move { s + v }).await;
    let right = PollingBridge { rx: b }.fold(0, |s, v| async move { s + v }).await;
    left + right
}

/// The runtime re-entered.
pub async fn reenter(h: Handle) -> u64 {
    let a = futures::executor::block_on(async { 1u64 }); //~ BAD(direct) block_on in async code
    let hh = h.clone();
    let b = tokio::task::spawn_blocking(move || hh.block_on(async { 2u64 })).await; //~ OK Handle::block_on in spawn_blocking
    let c = tokio::task::spawn_blocking(|| futures::executor::block_on(async { 3u64 })).await; //~ OK block_on in spawn_blocking
    let d = h.block_on(async { 4u64 }); //~ BAD(method) Handle::block_on in async code
    let e = kit::offload::run_now(async { 5u64 }); //~ BAD(transitive) run_now is block_on
    let f = tokio::task::block_in_place(|| Handle::current().block_on(async { 6u64 })); //~ OK block_on in block_in_place
    a + b.unwrap_or(0) + c.unwrap_or(0) + d + e + f
}

pub async fn inbox(mut rx: tokio::sync::mpsc::Receiver<u64>, m: &tokio::sync::Mutex<u64>, one: tokio::sync::oneshot::Receiver<u64>) -> u64 {
    let a = rx.try_recv().unwrap_or(0); //~ OK tokio try_recv
    let b = rx.blocking_recv().unwrap_or(0); //~ BAD(method) blocking_recv in async code
    let c = *m.blocking_lock(); //~ BAD(method) blocking_lock in async code
    let d = *m.lock().await; //~ OK tokio mutex
    a + b + c + d + one.await.unwrap_or(0)
}

pub async fn select_loop(stop: crossbeam_channel::Receiver<()>, mut rx: tokio::sync::broadcast::Receiver<u64>) -> u64 {
    let mut n = 0;
    loop {
        tokio::select! {
            v = rx.recv() => match v { //~ OK tokio broadcast
                Ok(v) => n += v,
                Err(_) => break,
            },
            _ = tokio::time::sleep(Duration::from_secs(1)) => { //~ OK tokio time
                if stop.try_recv().is_ok() { //~ OK try_recv
                    break;
                }
                std::thread::sleep(Duration::from_millis(10)); //~ BAD(direct) sleep in a select! arm
            }
        }
    }
    n
}

/// Generic over the reader: both a socket and memory are used.
async fn frame<R: Read>(r: &mut R) -> io::Result<u8> {
    let mut head = [0u8; 1];
    r.read_exact(&mut head)?; //~ BAD(dynamic) generic reader, a TcpStream in `frames`
    Ok(head[0])
}

/// Only ever over memory.
async fn frame_mem<R: Read>(r: &mut R) -> io::Result<u8> {
    let mut head = [0u8; 1];
    r.read_exact(&mut head)?; //~ OK private generic, only instantiated over memory
    Ok(head[0])
}

pub async fn frames(mut s: TcpStream) -> io::Result<u8> {
    let a = frame(&mut s).await?;
    let b = frame(&mut Cursor::new([1u8, 2])).await?;
    let c = frame_mem(&mut Cursor::new([1u8, 2])).await?;
    let mut dynr: Box<dyn Read + Send> = if a > b { Box::new(s) } else { Box::new(io::empty()) };
    let mut buf = [0u8; 2];
    dynr.read_exact(&mut buf)?; //~ BAD(dynamic) Box<dyn Read> that may be a socket
    let mut empty: Box<dyn Write + Send> = Box::new(Vec::new());
    empty.write_all(&buf)?; //~ OK Box<dyn Write> over a Vec
    Ok(a + b + c)
}

pub fn numbers() -> impl Stream<Item = u64> {
    async_stream::stream! {
        for i in 0..3u64 {
            tokio::time::sleep(Duration::from_millis(i)).await; //~ OK tokio time
            std::thread::park_timeout(Duration::from_millis(i)); //~ BAD(direct) park_timeout
            yield i;
        }
    }
}
