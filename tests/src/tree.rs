//! How are folders copied and compared?

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use walkdir::WalkDir;

/// The content of a file, and whether the file is executable.
pub type File = (Vec<u8>, bool);

/// The files under `root`, by their paths in it.
pub fn files(root: &Path) -> BTreeMap<String, File> {
    names(root, |_| true)
        .into_iter()
        .map(|name| {
            let path = root.join(&name);
            let executable = path.metadata().unwrap().permissions().mode() & 0o111 != 0;
            (name, (fs::read(path).unwrap(), executable))
        })
        .collect()
}

/// Copies the files that are `wanted`. A folder that is not wanted is not entered.
pub fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) {
    for name in names(from, wanted) {
        let target = to.join(&name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(&name), target).unwrap();
    }
}

fn names(root: &Path, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    WalkDir::new(root)
        .min_depth(1)
        .into_iter()
        .filter_entry(|entry| wanted(&name(entry.path())))
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| name(entry.path()))
        .collect()
}

/// The first line in which two texts differ, for a message; None if they are equal.
pub fn first_difference(is: &[u8], should_be: &[u8]) -> Option<String> {
    if is == should_be {
        return None;
    }
    let (is, should_be) = (String::from_utf8_lossy(is), String::from_utf8_lossy(should_be));
    let same = is.lines().zip(should_be.lines()).take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(the file ends)").to_owned();
    Some(format!("line {}\n    is         {}\n    should be  {}", same + 1, line(&is), line(&should_be)))
}
