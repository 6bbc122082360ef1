/// Evaluates the expression on the blocking pool.
#[macro_export]
macro_rules! offload {
    ($body:expr) => {
        ::tokio::task::spawn_blocking(move || $body)
    };
}

/// Reads a whole file, or gives the default.
#[macro_export]
macro_rules! slurp_or {
    ($path:expr, $default:expr) => {
        match ::std::fs::read_to_string($path) {
            Ok(text) => text,
            Err(_) => $default.to_string(),
        }
    };
}

/// Appends a formatted line to a journal file.
#[macro_export]
macro_rules! journal {
    ($path:expr, $($arg:tt)*) => {
        $crate::textio::append_line($path, &format!($($arg)*))
    };
}

/// Builds a map in memory.
#[macro_export]
macro_rules! labels {
    ($($k:ident = $v:expr),* $(,)?) => {{
        let mut map = ::std::collections::BTreeMap::<&'static str, String>::new();
        $(map.insert(stringify!($k), $v.to_string());)*
        map
    }};
}

/// Waits without giving the executor back; for tools only.
#[macro_export]
macro_rules! pause_ms {
    ($ms:expr) => {
        ::std::thread::sleep(::std::time::Duration::from_millis($ms))
    };
}

/// Waits on the tokio timer.
#[macro_export]
macro_rules! yield_ms {
    ($ms:expr) => {
        ::tokio::time::sleep(::std::time::Duration::from_millis($ms)).await
    };
}
