//! The self-test: a wheel of one module shows how this uv keeps its cache, and whether it takes what is put there.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::cache::store::Store;
use crate::fs::{FileLinker, LockedTempDir, Sha256Digest, blake3_hex, write_atomic};

use super::cache::UvCache;
use super::layout::{UvCacheLayout, UvLayoutSupport};
use super::program::Uv;

/// A wheel whose one module says `MARK = 1`.
const PROBE_WHEEL: &[u8] = include_bytes!("noxide_probe-1.0-py3-none-any.whl");
const PROBE_WHEEL_NAME: &str = "noxide_probe-1.0-py3-none-any.whl";
/// What it says in a tree that noxide put there.
const REPLACED_MODULE: &[u8] = b"MARK = 2\n";

/// The version of the note that keeps what was found.
const PROBE_RECORD_VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct ProbeRecord {
    version: u32,
    /// Which uv: where, its size, its time.
    uv_binary: String,
    layout: UvCacheLayout,
}

impl Uv {
    /// Whether noxide knows how this uv keeps its cache: tried once, then remembered in the store.
    pub fn detect_layout(&self, store: &Store) -> UvLayoutSupport {
        let identity = match self.binary_identity() {
            Ok(identity) => identity,
            Err(error) => return UvLayoutSupport::Unknown { reason: format!("{}: {error}", self.path().display()) },
        };
        let note = store.probe_results_dir().join(format!("uv-{}.json", &blake3_hex(identity.as_bytes())[..16]));
        let kept = std::fs::read(&note).ok().and_then(|text| serde_json::from_slice::<ProbeRecord>(&text).ok());
        if let Some(kept) = kept.filter(|kept| kept.version == PROBE_RECORD_VERSION && kept.uv_binary == identity) {
            return UvLayoutSupport::Known(kept.layout);
        }
        match self.probe_layout() {
            Ok(layout) => {
                let kept = ProbeRecord { version: PROBE_RECORD_VERSION, uv_binary: identity, layout: layout.clone() };
                if store.is_writable()
                    && let Ok(text) = serde_json::to_vec(&kept)
                    && std::fs::create_dir_all(store.probe_results_dir()).is_ok()
                {
                    // Only remembered: without it the next run tries again.
                    let _ = write_atomic(&note, &text);
                }
                UvLayoutSupport::Known(layout)
            }
            Err(why) => UvLayoutSupport::Unknown { reason: why },
        }
    }

    /// Lets uv install the wheel, puts another tree into a second cache as the first one was, and looks which is taken.
    fn probe_layout(&self) -> Result<UvCacheLayout, String> {
        let words = |error: std::io::Error| error.to_string();
        let workspace = LockedTempDir::create_in(&std::env::temp_dir()).map_err(words)?;
        let folder = workspace.path();
        fs_err::create_dir(folder.join("links")).map_err(words)?;
        fs_err::write(folder.join("links").join(PROBE_WHEEL_NAME), PROBE_WHEEL).map_err(words)?;
        let digest = Sha256Digest::hash_bytes(PROBE_WHEEL);
        fs_err::write(folder.join("requirements.txt"), format!("noxide-probe==1.0 --hash=sha256:{digest}\n"))
            .map_err(words)?;
        self.install_probe_wheel(folder, "first")?;
        let entries = fs_err::read_dir(folder.join("first")).map_err(words)?;
        let names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let layout =
            UvCacheLayout::from_bucket_names(&names).ok_or_else(|| format!("its cache holds {}", names.join(", ")))?;
        let first = UvCache::new(folder.join("first"), layout.clone());
        let (pointers, _) = first.scan_wheels();
        let pointer = match pointers.as_slice() {
            [pointer] if pointer.digest == digest => pointer,
            _ => return Err("its cache holds no pointer with the wheel's digest and a link beside it".to_owned()),
        };
        let (placing, files) = pointer.read_placement(first.dir()).map_err(words)?;
        copy_tree(&first.dir().join(&pointer.tree_path), &folder.join("tree")).map_err(words)?;
        fs_err::remove_file(folder.join("tree/noxide_probe.py")).map_err(words)?;
        fs_err::write(folder.join("tree/noxide_probe.py"), REPLACED_MODULE).map_err(words)?;
        let second = UvCache::new(folder.join("second"), layout.clone());
        let work = second.create_workspace().map_err(words)?;
        second.publish_tree(&folder.join("tree"), &placing, &files, &work).map_err(words)?;
        drop(work);
        self.install_probe_wheel(folder, "second")?;
        match std::fs::read(folder.join("second-target/noxide_probe.py")) {
            Ok(said) if said == REPLACED_MODULE => Ok(layout),
            _ => Err("it does not take what is put into its cache".to_owned()),
        }
    }

    fn install_probe_wheel(&self, folder: &Path, cache: &str) -> Result<(), String> {
        let mut command = Command::new(self.path());
        // Nothing of the caller's settings may lead it elsewhere; which Python it finds does not matter.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"UV_")) {
            if name != "UV_PYTHON" && name != "UV_PYTHON_DOWNLOADS" {
                command.env_remove(name);
            }
        }
        command.args(["pip", "install", "--quiet", "--no-config", "--offline", "--no-index", "--find-links", "links"]);
        command.args(["--require-hashes", "--no-deps", "--requirement", "requirements.txt", "--cache-dir", cache]);
        command.arg("--target").arg(format!("{cache}-target"));
        command.env("UV_PYTHON_DOWNLOADS", "never").current_dir(folder).stdin(Stdio::null());
        let done = command.output().map_err(|error| error.to_string())?;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
        Err(format!("it could not install a wheel: {last}"))
    }
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    let linker = FileLinker::without_hardlinks();
    fs_err::create_dir_all(to)?;
    for (path, stamp) in crate::fs::walk_tree(from)? {
        if stamp.is_dir() {
            fs_err::create_dir_all(to.join(&path))?;
        } else {
            linker.link_file(&from.join(&path), &to.join(&path))?;
        }
    }
    Ok(())
}
