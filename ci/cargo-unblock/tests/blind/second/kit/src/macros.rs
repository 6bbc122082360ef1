/// Reads a file or returns a default.
#[macro_export]
macro_rules! slurp_or {
    ($path:expr, $default:expr) => {
        match ::std::fs::read_to_string($path) {
            Ok(text) => text,
            Err(_) => $default.to_string(),
        }
    };
}

/// Repeats an expression with a pause until it yields `Some`.
#[macro_export]
macro_rules! poll_until {
    ($every:expr, $e:expr) => {{
        let mut left = 10u32;
        loop {
            if let Some(v) = $e {
                break Some(v);
            }
            left -= 1;
            if left == 0 {
                break None;
            }
            ::std::thread::sleep($every);
        }
    }};
}

/// The same for async code.
#[macro_export]
macro_rules! poll_until_async {
    ($every:expr, $e:expr) => {{
        let mut left = 10u32;
        loop {
            if let Some(v) = $e {
                break Some(v);
            }
            left -= 1;
            if left == 0 {
                break None;
            }
            ::tokio::time::sleep($every).await;
        }
    }};
}

/// Runs its body on the blocking pool.
#[macro_export]
macro_rules! off_thread {
    ($($body:tt)*) => {
        ::tokio::task::spawn_blocking(move || { $($body)* }).await
    };
}

#[macro_export]
macro_rules! persist {
    ($store:expr, $key:expr, $val:expr) => {
        $crate::fsx::atomic_write(&$store.join($key), $val)
    };
}
