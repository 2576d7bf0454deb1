//! Where a single node keeps its data, unless told.

use std::env;
use std::path::PathBuf;

/// The folder of `LUMINATE_DATA_DIR`, else `luminate` in the user's data folder (`XDG_DATA_HOME`, `~/.local/share`); `None`
/// where there is no home.
pub(crate) fn default_data_dir() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("LUMINATE_DATA_DIR").or_else(|| {
        // A relative XDG path counts as unset, as its specification wants.
        let data_home = set("XDG_DATA_HOME").filter(|path| path.is_absolute());
        let data_home = data_home.or_else(|| set("HOME").map(|home| home.join(".local/share")));
        data_home.map(|folder| folder.join("luminate"))
    })
}
