//! Plan files.

use std::fs;
use std::path::{Path, PathBuf};

use podium_sim::plan::Plan;

/// Reads the plan in `file`.
pub(super) fn read(file: &Path) -> Result<Plan, String> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Plan::from_json(&text).map_err(|error| format!("cannot use {}: {error}", file.display()))
}

/// Writes `plan` to `folder`, which is made if it is not there, under `name`.
pub(super) fn write(folder: &Path, name: &str, plan: &Plan) -> Result<PathBuf, String> {
    let file = folder.join(format!("{name}.json"));
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    write_text(&file, &plan.to_json())?;
    Ok(file)
}

/// Writes `text` to `file`.
pub(super) fn write_text(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}
