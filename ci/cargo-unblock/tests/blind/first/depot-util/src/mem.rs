//! Values in memory whose methods are named like those of std's I/O.

use std::collections::VecDeque;

#[derive(Default, Clone)]
pub struct Blob {
    data: Vec<u8>,
    pos: usize,
}

impl Blob {
    pub fn open(data: &[u8]) -> Self {
        Blob { data: data.to_vec(), pos: 0 }
    }

    pub fn read(&mut self, buf: &mut [u8]) -> usize {
        let n = buf.len().min(self.data.len() - self.pos);
        buf[..n].copy_from_slice(&self.data[self.pos..self.pos + n]);
        self.pos += n;
        n
    }

    pub fn write_all(&mut self, more: &[u8]) {
        self.data.extend_from_slice(more);
    }

    pub fn sync_all(&self) -> usize {
        self.data.len()
    }

    pub fn metadata(&self) -> (usize, usize) {
        (self.pos, self.data.len())
    }
}

pub struct Mailbox<T> {
    queue: VecDeque<T>,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Mailbox { queue: VecDeque::new() }
    }
}

impl<T> Mailbox<T> {
    pub fn send(&mut self, item: T) {
        self.queue.push_back(item);
    }

    pub fn recv(&mut self) -> Option<T> {
        self.queue.pop_front()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.queue.iter()
    }
}

/// A node in a plan; it never runs anything.
#[derive(Default, Debug)]
pub struct Step {
    parts: Vec<String>,
    asleep: bool,
}

impl Step {
    pub fn sleep(&mut self) {
        self.asleep = true;
    }

    pub fn wait(&self) -> bool {
        self.asleep
    }

    pub fn join(&self, sep: &str) -> String {
        self.parts.join(sep)
    }

    pub fn output(&self) -> usize {
        self.parts.len()
    }

    pub fn status(&self) -> &'static str {
        if self.asleep { "asleep" } else { "ready" }
    }

    pub fn arg(mut self, part: &str) -> Self {
        self.parts.push(part.to_owned());
        self
    }

    pub fn call(&self) -> String {
        format!("{}()", self.parts.join("."))
    }

    pub fn execute(&self, times: usize) -> usize {
        self.parts.len() * times
    }
}
