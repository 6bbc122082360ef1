use std::io;

/// A measurement of the host.
pub trait Probe {
    fn measure() -> io::Result<u64>;
}

pub struct LoadAverage;
pub struct Fixed;

impl Probe for LoadAverage {
    fn measure() -> io::Result<u64> {
        let text = std::fs::read_to_string("/proc/loadavg")?;
        Ok(text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).map_or(0, |n| n as u64))
    }
}

impl Probe for Fixed {
    fn measure() -> io::Result<u64> {
        Ok(7)
    }
}

pub fn sample<P: Probe>(times: usize) -> io::Result<Vec<u64>> {
    (0..times).map(|_| P::measure()).collect()
}

/// Asks until the value is low, on the calling thread.
pub fn settle<P: Probe>(limit: u64) -> io::Result<()> {
    while P::measure()? > limit {
        std::thread::yield_now();
    }
    Ok(())
}
