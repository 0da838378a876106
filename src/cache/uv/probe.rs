//! Probe of a uv: finds its cache layout with a small wheel, and checks that uv uses the files that noxide adds to a
//! cache.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cache::store::Store;
use crate::fs::{
    FileLinker, LockedTempDir, MAX_DOCUMENT_BYTES, Sha256Digest, blake3_hex, create_dirs, read_regular_file,
    write_atomic,
};

use super::cache::UvCache;
use super::layout::{UvCacheLayout, UvLayoutSupport};
use super::program::Uv;

/// A wheel with one module, `MARK = 1`.
const PROBE_WHEEL: &[u8] = include_bytes!("noxide_probe-1.0-py3-none-any.whl");
const PROBE_WHEEL_NAME: &str = "noxide_probe-1.0-py3-none-any.whl";
/// The module in the tree that noxide adds to the cache.
const REPLACED_MODULE: &[u8] = b"MARK = 2\n";

/// Version of the stored probe result.
const PROBE_RECORD_VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct ProbeRecord {
    version: u32,
    /// Identity of the uv executable.
    uv_binary: String,
    layout: UvCacheLayout,
}

/// Why the cache layout of a uv is unknown.
#[derive(Debug, Error)]
enum ProbeError {
    #[error("its cache contains {0}")]
    UnexpectedBuckets(String),
    #[error("it does not refer to cached wheels in the expected way (no wheel pointer found)")]
    NoPointer,
    #[error("it does not use files added to its cache")]
    TreeIgnored,
    #[error("it could not install a wheel: {0}")]
    InstallFailed(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Uv {
    /// Returns the cache layout of this uv: probed once, then read from the store.
    pub fn detect_layout(&self, store: &Store) -> UvLayoutSupport {
        let identity = match self.binary_identity() {
            Ok(identity) => identity,
            Err(error) => return UvLayoutSupport::Unknown { reason: format!("{}: {error}", self.path().display()) },
        };
        let record_path = store.probe_results_dir().join(format!("uv-{}.json", &blake3_hex(identity.as_bytes())[..16]));
        let stored = read_regular_file(&record_path, MAX_DOCUMENT_BYTES)
            .ok()
            .and_then(|text| serde_json::from_slice::<ProbeRecord>(&text).ok());
        if let Some(stored) =
            stored.filter(|stored| stored.version == PROBE_RECORD_VERSION && stored.uv_binary == identity)
        {
            return UvLayoutSupport::Known(stored.layout);
        }
        match self.probe_layout() {
            Ok(layout) => {
                let stored = ProbeRecord { version: PROBE_RECORD_VERSION, uv_binary: identity, layout: layout.clone() };
                if store.is_writable()
                    && let Ok(text) = serde_json::to_vec(&stored)
                    && create_dirs(&store.probe_results_dir()).is_ok()
                {
                    // If this fails, the next run probes again.
                    let _ = write_atomic(&record_path, &text);
                }
                UvLayoutSupport::Known(layout)
            }
            Err(error) => UvLayoutSupport::Unknown { reason: error.to_string() },
        }
    }

    /// Installs a wheel with uv, adds a modified tree to a second cache in the same form, and checks which module uv installs
    /// from there.
    fn probe_layout(&self) -> Result<UvCacheLayout, ProbeError> {
        let workspace = LockedTempDir::create_in(&std::env::temp_dir())?;
        let directory = workspace.path();
        fs_err::create_dir(directory.join("links"))?;
        fs_err::write(directory.join("links").join(PROBE_WHEEL_NAME), PROBE_WHEEL)?;
        let digest = Sha256Digest::hash_bytes(PROBE_WHEEL);
        fs_err::write(directory.join("requirements.txt"), format!("noxide-probe==1.0 --hash=sha256:{digest}\n"))?;
        self.install_probe_wheel(directory, "first")?;
        let entries = fs_err::read_dir(directory.join("first"))?;
        let names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let layout =
            UvCacheLayout::from_bucket_names(&names).ok_or_else(|| ProbeError::UnexpectedBuckets(names.join(", ")))?;
        let first = UvCache::new(directory.join("first"), layout.clone());
        let (wheels, _) = first.scan_wheels();
        let wheel = match wheels.as_slice() {
            [wheel] if wheel.digest == digest => wheel,
            _ => return Err(ProbeError::NoPointer),
        };
        let (placement, files) = wheel.read_placement(first.dir())?;
        copy_tree(&first.dir().join(&wheel.tree_path), &directory.join("tree"))?;
        fs_err::remove_file(directory.join("tree/noxide_probe.py"))?;
        fs_err::write(directory.join("tree/noxide_probe.py"), REPLACED_MODULE)?;
        let second = UvCache::new(directory.join("second"), layout.clone());
        let second_workspace = second.create_workspace()?;
        second.publish_tree(&directory.join("tree"), &placement, &files, &second_workspace, &|_| false)?;
        drop(second_workspace);
        self.install_probe_wheel(directory, "second")?;
        match std::fs::read(directory.join("second-target/noxide_probe.py")) {
            Ok(module) if module == REPLACED_MODULE => Ok(layout),
            _ => Err(ProbeError::TreeIgnored),
        }
    }

    fn install_probe_wheel(&self, directory: &Path, cache: &str) -> Result<(), ProbeError> {
        let mut command = Command::new(self.path());
        // Ignore the caller's settings of uv, except for those that select a Python.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"UV_")) {
            if name != "UV_PYTHON" && name != "UV_PYTHON_DOWNLOADS" {
                command.env_remove(name);
            }
        }
        command.args(["pip", "install", "--quiet", "--no-config", "--offline", "--no-index", "--find-links", "links"]);
        command.args(["--require-hashes", "--no-deps", "--requirement", "requirements.txt", "--cache-dir", cache]);
        command.arg("--target").arg(format!("{cache}-target"));
        command.env("UV_PYTHON_DOWNLOADS", "never").current_dir(directory).stdin(Stdio::null());
        let output = command.output()?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last_line = stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it printed no error");
        Err(ProbeError::InstallFailed(last_line.to_owned()))
    }
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    let linker = FileLinker::without_hardlinks();
    fs_err::create_dir_all(to)?;
    for (path, stat) in crate::fs::walk_tree(from)? {
        if stat.is_dir() {
            fs_err::create_dir_all(to.join(&path))?;
        } else {
            linker.link_file(&from.join(&path), &to.join(&path))?;
        }
    }
    Ok(())
}
