//! Everything that ever broke something, by the name of what it broke, is replayed against all oracles.

use std::path::{Path, PathBuf};

use selvedge_fuzz::forge::{self, Recipe};
use selvedge_fuzz::oracle;
use selvedge_fuzz::script::{Script, run_json};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn files(folder: &str) -> std::io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crashers").join(folder);
    let mut files = std::fs::read_dir(&folder)?.map(|file| Ok(file?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    assert!(!files.is_empty(), "nothing in {}", folder.display());
    Ok(files)
}

#[test]
fn scripts_that_broke_something_hold_now() -> Outcome {
    for path in files("scripts")? {
        let text = std::fs::read_to_string(&path)?;
        let script: Script = serde_json::from_str(&text)?;
        oracle::check(&script).map_err(|error| format!("{}: {error}", path.display()))?;
        let digests = run_json(&text);
        assert!(digests.starts_with("{\"after\""), "{}: {digests}", path.display());
        assert_eq!(digests, run_json(&text), "{}: two runs differ", path.display());
    }
    Ok(())
}

#[test]
fn forged_histories_that_broke_something_hold_now() -> Outcome {
    for path in files("forged")? {
        let recipe: Recipe = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        forge::check(&recipe).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

#[test]
fn what_is_no_script_is_told() {
    assert!(run_json("{}").starts_with("{\"error\":\"no script"));
}
