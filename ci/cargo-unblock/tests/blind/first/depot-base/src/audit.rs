use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A log file shared by the services.
#[derive(Clone)]
pub struct AuditLog {
    file: Arc<Mutex<File>>,
}

impl AuditLog {
    pub fn create(path: &Path) -> io::Result<AuditLog> {
        let file = File::create(path)?;
        Ok(AuditLog { file: Arc::new(Mutex::new(file)) })
    }

    pub fn record(&self, actor: &str, action: &str) -> io::Result<()> {
        self.write_entry(&format!("{actor} {action}\n"))
    }

    fn write_entry(&self, entry: &str) -> io::Result<()> {
        let mut file = self.file.lock().unwrap();
        file.write_all(entry.as_bytes())
    }
}

/// Keeps the entries in memory.
#[derive(Default)]
pub struct AuditBuffer {
    entries: Mutex<Vec<String>>,
}

impl AuditBuffer {
    pub fn record(&self, actor: &str, action: &str) {
        self.entries.lock().unwrap().push(format!("{actor} {action}"));
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.entries.lock().unwrap())
    }
}
