use std::fs::OpenOptions;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;

pub fn append_line(path: impl AsRef<Path>, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())?;
    file.write_all(b"\n")
}

pub fn read_trimmed(path: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.trim().to_owned())
}

/// A simple sum over everything the reader gives.
pub fn checksum<R: Read>(mut source: R) -> io::Result<u32> {
    let mut buf = [0u8; 4096];
    let mut sum = 0u32;
    loop {
        let n = source.read(&mut buf)?;
        if n == 0 {
            return Ok(sum);
        }
        for b in &buf[..n] {
            sum = sum.wrapping_mul(31).wrapping_add(u32::from(*b));
        }
    }
}

pub fn count_lines<B: BufRead>(source: B) -> io::Result<usize> {
    let mut n = 0;
    for line in source.lines() {
        if !line?.is_empty() {
            n += 1;
        }
    }
    Ok(n)
}

pub fn write_table<W: Write>(out: &mut W, rows: &[(String, u64)]) -> io::Result<()> {
    for (name, value) in rows {
        writeln!(out, "{name}\t{value}")?;
    }
    out.flush()
}

pub fn gunzip<R: Read>(source: R) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(source).read_to_end(&mut out)?;
    Ok(out)
}

/// Reads only from the given text.
pub fn parse_pairs(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|l| l.split_once('='))
        .map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned()))
        .collect()
}
