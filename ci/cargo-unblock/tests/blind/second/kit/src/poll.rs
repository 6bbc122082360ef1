//! Hand-written futures and streams.
use std::future::Future;
use std::io::BufRead;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::Stream;

/// Busy deadline that naps the thread.
pub struct NapUntil(pub Instant);
impl Future for NapUntil {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.0 {
            return Poll::Ready(());
        }
        std::thread::sleep(Duration::from_millis(1)); //~ BAD(dynamic) sleep in Future::poll
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Lines of any buffered reader as a stream.
pub struct LineStream<R> {
    pub reader: R,
}
impl<R: BufRead + Unpin> Stream for LineStream<R> {
    type Item = String;
    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<String>> {
        let mut s = String::new();
        match self.reader.read_line(&mut s) { //~ BAD(dynamic) read_line on a file in poll_next (worker builds it over a File)
            Ok(0) | Err(_) => Poll::Ready(None),
            Ok(_) => Poll::Ready(Some(s)),
        }
    }
}

/// Waits for a thread.
pub struct ThreadDone<T>(pub Option<std::thread::JoinHandle<T>>);
impl<T> Future for ThreadDone<T> {
    type Output = Option<T>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.0.as_ref() {
            Some(h) if !h.is_finished() => { //~ OK is_finished does not wait
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(None),
        }
    }
}
impl<T> Unpin for ThreadDone<T> {}

/// Bridges a std channel badly.
pub struct Bridge<T> {
    pub rx: std::sync::mpsc::Receiver<T>,
}
impl<T> Stream for Bridge<T> {
    type Item = T;
    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(self.rx.recv().ok()) //~ BAD(dynamic) mpsc recv in poll_next
    }
}

/// And well enough.
pub struct PollingBridge<T> {
    pub rx: std::sync::mpsc::Receiver<T>,
}
impl<T> Stream for PollingBridge<T> {
    type Item = T;
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.rx.try_recv() { //~ OK try_recv
            Ok(v) => Poll::Ready(Some(v)),
            Err(std::sync::mpsc::TryRecvError::Empty) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(_) => Poll::Ready(None),
        }
    }
}
