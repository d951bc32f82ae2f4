//! Is a build step up to date? Compares the times of its inputs with a stamp written after its last success.
//!
//! A stamp has the time at which the step *began*, so that an edit made meanwhile counts as newer. What the
//! inputs are is said by the steps themselves.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::repo::Repo;

/// Folders that hold no inputs: installed packages, output, and tests, which no build reads.
const NO_INPUTS: [&str; 7] = ["node_modules", "dist", "pkg", "target", "test", "tests", ".git"];

/// The record of one step.
pub(crate) struct Stamp {
    path: PathBuf,
    content: String,
    began: SystemTime,
}

impl Stamp {
    /// `content` names what no file time shows, such as the compiler: a stamp of other content is stale.
    pub(crate) fn new(repo: &Repo, step: &str, content: &str) -> Self {
        let path = repo.target.join("xtask-stamps").join(step);
        Self { path, content: content.to_owned(), began: SystemTime::now() }
    }

    /// True if the outputs are there and nothing among the inputs changed since the last success.
    pub(crate) fn is_fresh(&self, inputs: &[PathBuf], outputs: &[PathBuf]) -> bool {
        if outputs.iter().any(|output| !output.exists()) {
            return false;
        }
        if !fs::read_to_string(&self.path).is_ok_and(|content| content == self.content) {
            return false;
        }
        let Ok(stamped) = fs::metadata(&self.path).and_then(|meta| meta.modified()) else { return false };
        inputs.iter().all(|input| newest(input, true).is_some_and(|time| time < stamped))
    }

    /// Records a success.
    pub(crate) fn write(self) -> Result<()> {
        let dir = self.path.parent().context("a stamp lies in a folder")?;
        fs::create_dir_all(dir)?;
        let mut file = File::create(&self.path).with_context(|| format!("cannot write {}", self.path.display()))?;
        file.write_all(self.content.as_bytes())?;
        file.set_modified(self.began)?;
        Ok(())
    }
}

/// The newest time in a file or a folder; `None` if it is not there.
///
/// A folder's own time shows removals. That of the input itself does not count: output may lie in it.
fn newest(path: &Path, top: bool) -> Option<SystemTime> {
    let meta = fs::metadata(path).ok()?;
    if !meta.is_dir() {
        return meta.modified().ok();
    }
    let own = if top { SystemTime::UNIX_EPOCH } else { meta.modified().ok()? };
    let entries = fs::read_dir(path).ok()?.flatten();
    let inputs = entries.filter(|entry| !NO_INPUTS.iter().any(|name| entry.file_name() == *name));
    inputs.filter_map(|entry| newest(&entry.path(), false)).chain([own]).max()
}

#[cfg(test)]
mod tests {
    use super::Stamp;
    use crate::repo::Repo;
    use std::fs::{self, File};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    fn aged(path: &Path, age: Duration) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::options().create(true).append(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn a_step_is_stale_after_an_edit_another_compiler_or_a_lost_output() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repo { root: dir.path().into(), target: dir.path().join("target") };
        let (src, out) = (dir.path().join("src"), dir.path().join("out"));
        let hour = Duration::from_secs(3600);
        aged(&src.join("a"), hour);
        aged(&out, hour);
        let (inputs, outputs) = ([src.clone()], [out.clone()]);
        let fresh = |key: &str| Stamp::new(&repo, "s", key).is_fresh(&inputs, &outputs);
        assert!(!fresh("1"), "never built");
        Stamp::new(&repo, "s", "1").write().unwrap();
        assert!(fresh("1"));
        assert!(!fresh("2"), "another compiler");
        aged(&src.join("node_modules/b"), Duration::ZERO);
        assert!(fresh("1"), "installed packages are no inputs");
        aged(&src.join("a"), Duration::ZERO);
        assert!(!fresh("1"), "edited");
        aged(&src.join("a"), hour);
        fs::remove_file(&out).unwrap();
        assert!(!fresh("1"), "output lost");
    }
}
