use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{de::DeserializeOwned, Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Config {
    pub name: String,
    pub data_dir: PathBuf,
    pub workers: usize,
}

pub fn load_config(path: &Path) -> io::Result<Config> {
    let text = fs::read_to_string(path)?;
    parse_config(&text)
}

/// Purely in memory.
pub fn parse_config(text: &str) -> io::Result<Config> {
    serde_json::from_str(text).map_err(io::Error::other)
}

pub fn load_json<T: DeserializeOwned>(path: impl AsRef<Path>) -> io::Result<T> {
    let reader = open_buffered(path.as_ref())?;
    serde_json::from_reader(reader).map_err(io::Error::other)
}

fn open_buffered(path: &Path) -> io::Result<BufReader<File>> {
    Ok(BufReader::new(File::open(path)?))
}

pub fn atomic_write(path: &Path, data: &[u8]) -> io::Result<()> {
    let tmp = sibling(path, "tmp");
    write_synced(&tmp, data)?;
    fs::rename(&tmp, path)
}

fn write_synced(path: &Path, data: &[u8]) -> io::Result<()> {
    let mut f = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
    f.write_all(data)?;
    f.sync_all()
}

pub fn sibling(path: &Path, ext: &str) -> PathBuf {
    path.with_extension(ext)
}

/// Four levels: rotate -> rotate_once -> shift -> fs::rename.
pub fn rotate(base: &Path, keep: usize) -> io::Result<usize> {
    let mut n = 0;
    for i in (1..keep).rev() {
        n += rotate_once(base, i)?;
    }
    Ok(n)
}

fn rotate_once(base: &Path, i: usize) -> io::Result<usize> {
    shift(&numbered(base, i), &numbered(base, i + 1)).map(|moved| moved as usize)
}

fn shift(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

pub fn numbered(base: &Path, i: usize) -> PathBuf {
    let mut s = base.as_os_str().to_owned();
    s.push(format!(".{i}"));
    s.into()
}

/// Blocks or not depending on the reader it is given.
pub fn checksum<R: Read>(mut r: R) -> io::Result<u32> {
    let mut buf = [0u8; 4096];
    let mut sum = 0u32;
    loop {
        let n = r.read(&mut buf)?;
        if n == 0 {
            return Ok(sum);
        }
        sum = buf[..n].iter().fold(sum, |s, b| s.rotate_left(5) ^ u32::from(*b));
    }
}

/// As above, for writers.
pub fn write_rows<W: Write>(out: &mut W, rows: &[(String, u64)]) -> io::Result<()> {
    for (k, v) in rows {
        writeln!(out, "{k},{v}")?;
    }
    out.flush()
}

pub fn count_lines<B: BufRead>(input: B) -> usize {
    input.lines().map_while(Result::ok).filter(|l| !l.is_empty()).count()
}

pub fn gunzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out)?;
    Ok(out)
}

pub fn gzip_file(src: &Path, dst: &Path) -> io::Result<u64> {
    let mut input = File::open(src)?;
    let mut enc = flate2::write::GzEncoder::new(File::create(dst)?, flate2::Compression::fast());
    let n = io::copy(&mut input, &mut enc)?;
    enc.finish()?;
    Ok(n)
}

pub fn dir_size(root: &Path) -> u64 {
    walkdir::WalkDir::new(root)
        .into_iter()
        .filter_map(Result::ok)
        .filter_map(|e| e.metadata().ok())
        .map(|m| m.len())
        .sum()
}

/// Builds an iterator that has not touched the disk yet.
pub fn lazy_lines(paths: Vec<PathBuf>) -> impl Iterator<Item = String> + Send {
    paths.into_iter().filter_map(|p| fs::read_to_string(p).ok())
}

/// Called by the release tool only, never by async code.
pub fn stamp_release(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?; //~ OK only sync callers
    let mut f = File::create(dir.join("RELEASE"))?; //~ OK only sync callers
    f.write_all(b"1\n")?; //~ OK only sync callers
    std::thread::sleep(std::time::Duration::from_millis(5)); //~ OK only sync callers
    Ok(())
}

pub fn release_main(args: &[String]) -> io::Result<()> {
    for a in args {
        stamp_release(Path::new(a))?; //~ OK sync caller of a sync helper
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn config_round_trip() {
        let dir = tempfile::tempdir().unwrap(); //~ OK cfg(test)
        let p = dir.path().join("c.json");
        fs::write(&p, b"{\"name\":\"x\",\"data_dir\":\"/\",\"workers\":1}").unwrap(); //~ OK cfg(test)
        assert_eq!(load_config(&p).unwrap().workers, 1); //~ OK cfg(test)
        std::thread::sleep(std::time::Duration::from_millis(1)); //~ OK cfg(test)
    }
}
