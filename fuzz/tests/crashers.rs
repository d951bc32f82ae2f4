//! Every script that ever broke something, by the name of what it broke, is replayed against all oracles.

use std::path::Path;

use selvedge_fuzz::oracle;
use selvedge_fuzz::script::{Script, run_json};

#[test]
fn what_broke_once_holds_now() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crashers");
    let mut replayed = 0;
    for file in std::fs::read_dir(&folder)? {
        let path = file?.path();
        let text = std::fs::read_to_string(&path)?;
        let script: Script = serde_json::from_str(&text)?;
        oracle::check(&script).map_err(|error| format!("{}: {error}", path.display()))?;
        let digests = run_json(&text);
        assert!(digests.starts_with("{\"after\""), "{}: {digests}", path.display());
        assert_eq!(digests, run_json(&text), "{}: two runs differ", path.display());
        replayed += 1;
    }
    assert!(replayed >= 3, "no crashers in {}", folder.display());
    Ok(())
}
