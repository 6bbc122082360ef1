use crossbeam_channel::{Receiver, Sender};

/// An inbox whose iterator waits for the next message.
pub struct Inbox<T> {
    rx: Receiver<T>,
}

impl<T> Inbox<T> {
    pub fn pair() -> (Sender<T>, Inbox<T>) {
        let (tx, rx) = crossbeam_channel::unbounded();
        (tx, Inbox { rx })
    }

    /// Waits for a message on the calling thread.
    pub fn wait_next(&self) -> Option<T> {
        self.rx.recv().ok()
    }

    /// A message, if one is there.
    pub fn poll_one(&self) -> Option<T> {
        self.rx.try_recv().ok()
    }
}

impl<T> Iterator for Inbox<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.wait_next()
    }
}
