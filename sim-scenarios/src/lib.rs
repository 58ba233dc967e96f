//! Named scenarios: plans of the simulator that a person wrote, each with what must come of it.
//!
//! They are JSON files in `scenarios/`, in the format that `podium sim plan` prints and `podium sim run` runs. A
//! plan that once showed a bug is kept in `regressions/`, under a name that says what it showed.

use std::io;
use std::path::{Path, PathBuf};

use podium_sim::plan::Plan;

/// A plan with the name of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The file's name without its ending.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// What happens, and what must come of it.
    pub plan: Plan,
}

/// All scenarios and regressions, by name.
///
/// # Errors
/// A folder or file cannot be read, or a file is no plan; the error names it.
pub fn all() -> io::Result<Vec<Scenario>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut scenarios = Vec::new();
    for folder in ["scenarios", "regressions"].map(|name| root.join(name)).iter().filter(|path| path.is_dir())
    {
        for entry in folder.read_dir()? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                scenarios.push(read(path)?);
            }
        }
    }
    scenarios.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scenarios)
}

fn read(file: PathBuf) -> io::Result<Scenario> {
    let plan = Plan::from_json(&std::fs::read_to_string(&file)?)
        .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
    let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Scenario { name, file, plan })
}
