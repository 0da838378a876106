//! Manipulations of a remote store: what an attacker writes who knows its format.

use std::collections::BTreeMap;

use noxide::fs::{Sha256Digest, encode_base64_url};
use serde_json::{Value, json};

/// Objects of a remote store, by key.
pub(super) type Objects = BTreeMap<String, Vec<u8>>;

/// An entry in the pack of a [`HostileStore`].
pub(super) struct HostileFrame {
    /// Its row in the manifest; offset, length and digests are computed.
    pub(super) meta: Value,
    header: Value,
    /// uv's own files, by placement.
    uv_files: Vec<Vec<Vec<u8>>>,
    /// Content of the files of the tree, by position in the header.
    files: Vec<Vec<u8>>,
    /// Compressed bytes to use instead, and their length after decompression.
    bytes: Option<(Vec<u8>, u64)>,
    /// Fields of the row to set after everything is computed.
    overrides: Vec<(&'static str, Value)>,
}

/// A remote store that is taken apart, changed, and put together so that all digests agree.
pub(super) struct HostileStore {
    pub(super) manifest: Value,
    manifest_key: String,
    pub(super) frames: Vec<HostileFrame>,
    /// Position of alpha among the two frames.
    alpha_index: usize,
    /// Bytes of the manifest to use instead.
    manifest_bytes: Option<Vec<u8>>,
    /// Whether beta must still be restored.
    pub(super) spares_beta: bool,
    /// Whether alpha must not be restored.
    pub(super) harms_alpha: bool,
}

fn decompress(bytes: &[u8]) -> Vec<u8> {
    zstd::decode_all(bytes).unwrap()
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn blake3_hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

impl HostileStore {
    /// Takes a store with one manifest apart.
    pub(super) fn open(objects: &Objects) -> Self {
        let (manifest_key, bytes) = objects.iter().find(|(key, _)| key.contains("/m-")).unwrap();
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let mut manifest: Value = serde_json::from_slice(&decompress(&bytes[end + 1..])).unwrap();
        let frames = manifest["frames"].as_array_mut().unwrap().drain(..);
        let frames: Vec<_> = frames.map(|meta| HostileFrame::open(meta, objects)).collect();
        let alpha_index = frames.iter().position(|frame| frame.meta["name"] == "alpha 1.0").unwrap();
        Self {
            manifest,
            manifest_key: manifest_key.clone(),
            frames,
            alpha_index,
            manifest_bytes: None,
            spares_beta: true,
            harms_alpha: true,
        }
    }

    fn alpha(&mut self) -> &mut HostileFrame {
        &mut self.frames[self.alpha_index]
    }

    fn beta(&mut self) -> &mut HostileFrame {
        &mut self.frames[1 - self.alpha_index]
    }

    /// Puts the store together.
    pub(super) fn build(&self) -> Objects {
        let directory = self.manifest_key.rsplit_once("/m-").unwrap().0;
        let (mut pack, mut rows) = (Vec::new(), Vec::new());
        for frame in &self.frames {
            let (bytes, uncompressed) = frame.build();
            let mut row = frame.meta.clone();
            row["offset"] = json!(pack.len());
            row["length"] = json!(bytes.len());
            row["uncompressed_length"] = json!(uncompressed);
            row["frame_digest"] = json!(blake3_hex(&bytes));
            row["tree_digest"] = json!(frame.tree_digest());
            pack.extend(bytes);
            rows.push((row, &frame.overrides));
        }
        let pack_key = format!("{directory}/p-{}", &blake3_hex(&pack)[..32]);
        let finish = |(mut row, overrides): (Value, &Vec<(&str, Value)>)| {
            row["pack"] = json!(pack_key);
            for (field, value) in overrides {
                row[*field] = value.clone();
            }
            row
        };
        let mut manifest = self.manifest.clone();
        manifest["frames"] = rows.into_iter().map(finish).collect();
        let mut packs = manifest["packs"].as_object().unwrap().clone();
        packs.retain(|key, _| !key.starts_with(directory));
        packs.insert(pack_key.clone(), json!(1_795_600_000));
        manifest["packs"] = packs.into();
        let compressed = self.manifest_bytes.clone().unwrap_or_else(|| compress(manifest.to_string().as_bytes()));
        let bytes = [b"nxm2 -\n".as_slice(), &compressed].concat();
        [(self.manifest_key.clone(), bytes), (pack_key, pack)].into()
    }
}

impl HostileFrame {
    fn open(meta: Value, objects: &Objects) -> Self {
        let number = |field: &str| usize::try_from(meta[field].as_u64().unwrap()).unwrap();
        let pack = &objects[meta["pack"].as_str().unwrap()];
        let content = decompress(&pack[number("offset")..number("offset") + number("length")]);
        assert_eq!(&content[..5], b"nxe2\n");
        let length = usize::try_from(u64::from_le_bytes(content[5..13].try_into().unwrap())).unwrap();
        let header: Value = serde_json::from_slice(&content[13..13 + length]).unwrap();
        let mut rest = &content[13 + length..];
        let mut take = |size: &Value| {
            let (part, after) = rest.split_at(usize::try_from(size.as_u64().unwrap()).unwrap());
            rest = after;
            part.to_vec()
        };
        let placements = header["uv_placements"].as_array().unwrap();
        let uv_files = placements
            .iter()
            .map(|placement| placement["file_sizes"].as_array().unwrap().iter().map(&mut take).collect())
            .collect();
        let files = header["nodes"].as_array().unwrap().iter().filter_map(|node| node.get("file"));
        let files = files.map(|file| take(&file[1])).collect();
        Self { meta, header, uv_files, files, bytes: None, overrides: Vec::new() }
    }

    /// Returns the compressed frame and its length after decompression.
    fn build(&self) -> (Vec<u8>, u64) {
        if let Some((bytes, uncompressed)) = &self.bytes {
            return (bytes.clone(), *uncompressed);
        }
        let content = self.content();
        (compress(&content), content.len() as u64)
    }

    fn content(&self) -> Vec<u8> {
        let header = self.header.to_string();
        let mut content = b"nxe2\n".to_vec();
        content.extend((header.len() as u64).to_le_bytes());
        content.extend(header.as_bytes());
        self.uv_files.iter().flatten().chain(&self.files).for_each(|file| content.extend(file));
        content
    }

    /// The digest that the tree would have if it were valid.
    fn tree_digest(&self) -> String {
        let mut files = self.files.iter();
        let mut lines: Vec<(String, String)> = Vec::new();
        for node in self.header["nodes"].as_array().unwrap() {
            if let Some(file) = node.get("file") {
                let (path, mode) = (file[0].as_str().unwrap(), if file[2] == json!(true) { "x" } else { "-" });
                let digest = Sha256Digest::hash_bytes(files.next().unwrap());
                lines.push((path.to_owned(), format!("f {mode} {} {digest} {path}\n", file[1])));
            } else if let Some(link) = node.get("symlink") {
                let (path, target) = (link[0].as_str().unwrap(), link[1].as_str().unwrap());
                lines.push((path.to_owned(), format!("l {target} {path}\n")));
            } else {
                let path = node["empty-dir"].as_str().unwrap();
                lines.push((path.to_owned(), format!("d {path}\n")));
            }
        }
        lines.sort();
        let mut hasher = blake3::Hasher::new();
        for (_, line) in lines {
            hasher.update(&(line.len() as u64).to_le_bytes()).update(line.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    fn nodes(&mut self) -> &mut Vec<Value> {
        self.header["nodes"].as_array_mut().unwrap()
    }

    fn add_file(&mut self, path: &str, size: &Value) {
        self.nodes().push(json!({ "file": [path, size, false] }));
        self.files.push(b"EVIL".to_vec());
    }

    fn add_node(&mut self, node: Value) {
        self.nodes().push(node);
    }

    fn placement(&mut self) -> &mut Value {
        &mut self.header["uv_placements"][0]["placement"]
    }

    /// Adds a file "of uv's own" at a path.
    fn add_uv_file(&mut self, path: &str) {
        let bytes = b"EVIL = 1\n".to_vec();
        let file = json!({ "path": path, "digest": blake3_hex(&bytes) });
        self.placement()["files"].as_array_mut().unwrap().insert(0, file);
        self.header["uv_placements"][0]["file_sizes"].as_array_mut().unwrap().insert(0, json!(bytes.len()));
        self.uv_files[0].insert(0, bytes);
    }

    /// Lets uv's pointer name another tree: `id`, in which `TREE` is the name of the genuine one.
    fn point_to(&mut self, id: &str) {
        let tree = self.placement()["tree_path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let id = id.replace("TREE", &tree);
        let old = self.uv_files[0].pop().unwrap();
        // An array of which the name of the tree is the first text.
        assert_eq!(old[1..2 + tree.len()], [&[0xa0 | u8::try_from(tree.len()).unwrap()], tree.as_bytes()].concat());
        let length = u8::try_from(id.len()).unwrap();
        let marker = if length < 32 { vec![0xa0 | length] } else { vec![0xd9, length] };
        let new = [&old[..1], &marker, id.as_bytes(), &old[2 + tree.len()..]].concat();
        self.placement()["files"].as_array_mut().unwrap().last_mut().unwrap()["digest"] = json!(blake3_hex(&new));
        *self.header["uv_placements"][0]["file_sizes"].as_array_mut().unwrap().last_mut().unwrap() = json!(new.len());
        self.uv_files[0].push(new);
    }

    fn link(&mut self) -> String {
        self.placement()["link"].as_str().unwrap().to_owned()
    }

    /// Replaces the content of a file of the tree, and its line in `RECORD` if `listed` is set.
    fn replace_file(&mut self, path: &str, bytes: &[u8], listed: bool) {
        let names: Vec<String> =
            self.nodes().iter().map(|node| node["file"][0].as_str().unwrap_or("").to_owned()).collect();
        let at = |path: &str| names.iter().position(|name| name == path).unwrap();
        self.files[at(path)] = bytes.to_vec();
        self.nodes()[at(path)]["file"][1] = json!(bytes.len());
        if listed {
            let record = names.iter().find(|name| name.ends_with(".dist-info/RECORD")).unwrap().clone();
            let text = String::from_utf8(self.files[at(&record)].clone()).unwrap();
            let digest = encode_base64_url(&Sha256Digest::hash_bytes(bytes).0);
            let line = |line: &str| match line.starts_with(&format!("{path},")) {
                true => format!("{path},sha256={digest},{}\n", bytes.len()),
                false => format!("{line}\n"),
            };
            let text: String = text.lines().map(line).collect();
            self.replace_file(&record, text.as_bytes(), false);
        }
    }
}

/// A name that would change a terminal, a log and a summary.
const HOSTILE_NAME: &str = "alpha 1\n::add-path::/evil\r##[add-path]/evil\u{1b}]0;title\u{7}\u{1b}[2J<img src=x>";

type Attack = fn(&mut HostileStore);

/// Attacks by name. Unless they say otherwise, alpha must be refused, and beta, which they leave as it is, used.
pub(super) const ATTACKS: &[(&str, Attack)] = &[
    // Files of uv's own and their places.
    ("uv file through the link of its wheel", |store| {
        let path = format!("{}/alpha/__init__.py", store.alpha().link());
        store.alpha().add_uv_file(&path);
    }),
    ("link through the link of another wheel", |store| {
        let deep = format!("wheels-v6/{}/l1", ["d"; 12].join("/"));
        store.alpha().placement()["link"] = json!(format!("{deep}/l2"));
        store.alpha().add_uv_file(&format!("{deep}/l2/owned.txt"));
        store.beta().placement()["link"] = json!(deep);
        store.spares_beta = false;
    }),
    ("absolute bucket", |store| store.alpha().placement()["bucket"] = json!("/tmp/noxide-evil")),
    ("bucket above", |store| store.alpha().placement()["bucket"] = json!("..")),
    ("tree above", |store| store.alpha().placement()["tree_path"] = json!("archive-v0/..")),
    ("absolute link", |store| store.alpha().placement()["link"] = json!("/tmp/noxide-evil")),
    ("link above", |store| store.alpha().placement()["link"] = json!("wheels-v6/../../../evil")),
    ("second placement in a foreign bucket", |store| {
        let alpha = store.alpha();
        let mut second = alpha.header["uv_placements"][0].clone();
        second["placement"]["bucket"] = json!("/tmp/x");
        alpha.header["uv_placements"].as_array_mut().unwrap().push(second);
        alpha.uv_files.push(alpha.uv_files[0].clone());
    }),
    ("uv metadata of the attacker", |store| {
        // uv reads the dependencies of a wheel from this file.
        let (path, id) =
            (format!("{}.msgpack", store.alpha().link()), store.alpha().meta["entry"].as_str().unwrap().to_owned());
        let alpha = store.alpha();
        let files = alpha.placement()["files"].as_array_mut().unwrap();
        let pointer = files.pop().unwrap();
        let bytes = format!("EVIL {}", id.trim_start_matches("wheel/")).into_bytes();
        *files = vec![json!({ "path": path, "digest": blake3_hex(&bytes) }), pointer];
        let pointer = alpha.uv_files[0].pop().unwrap();
        alpha.header["uv_placements"][0]["file_sizes"] = json!([bytes.len(), pointer.len()]);
        alpha.uv_files[0] = vec![bytes, pointer];
        store.harms_alpha = false;
    }),
    // uv joins the name in its pointer to its cache, and installs what is there.
    ("pointer to a tree outside of the cache", |store| store.alpha().point_to("/tmp/noxide-evil/TREE")),
    ("pointer to a tree above", |store| store.alpha().point_to("../evil/TREE")),
    ("pointer to a part of the tree", |store| store.alpha().point_to("TREE/alpha")),
    ("pointer to another tree", |store| store.alpha().point_to("TREETREE")),
    ("wheel in the place of another", |store| {
        let (own, other) = (store.alpha().link(), store.beta().link());
        let text = store.alpha().placement().to_string().replace(&own, &other);
        *store.alpha().placement() = serde_json::from_str(&text).unwrap();
    }),
    ("version in the place of another", |store| {
        let own = store.alpha().link();
        let text = store.alpha().placement().to_string().replace(&own, &own.replace("1.0", "9.0"));
        *store.alpha().placement() = serde_json::from_str(&text).unwrap();
    }),
    ("name with a path", |store| {
        store.alpha().meta["name"] = json!("alpha 1/../../../../../../../../tmp/noxide-evil");
        store.alpha().header["name"] = json!("alpha 1/../../../../../../../../tmp/noxide-evil");
        store.harms_alpha = false;
    }),
    // Paths of the tree.
    ("file above", |store| store.alpha().add_file("../../../../../../../../victim/evil", &json!(4))),
    ("absolute file", |store| store.alpha().add_file("/tmp/noxide-evil", &json!(4))),
    ("file with a null byte", |store| store.alpha().add_file("a\0b", &json!(4))),
    ("file twice", |store| store.alpha().add_file("alpha/__init__.py", &json!(4))),
    ("file in another case, not in RECORD", |store| store.alpha().add_file("alpha/RUN.SH", &json!(4))),
    ("file not in RECORD", |store| store.alpha().add_file("evil.pth", &json!(4))),
    ("path of 200 directories", |store| store.alpha().add_file(&["d"; 200].join("/"), &json!(4))),
    ("name of 300 bytes", |store| store.alpha().add_file(&"n".repeat(300), &json!(4))),
    ("link out", |store| store.alpha().add_node(json!({ "symlink": ["l", "/etc"] }))),
    ("link up", |store| store.alpha().add_node(json!({ "symlink": ["l", "../x"] }))),
    ("link up behind a name", |store| store.alpha().add_node(json!({ "symlink": ["l", "alpha/../../x"] }))),
    ("file through a link", |store| {
        store.alpha().add_node(json!({ "symlink": ["l", "alpha"] }));
        store.alpha().add_file("l/evil.py", &json!(4));
    }),
    ("directory through a link", |store| {
        store.alpha().add_node(json!({ "symlink": ["l", "alpha"] }));
        store.alpha().add_node(json!({ "empty-dir": "l/evil" }));
    }),
    ("file below a file", |store| store.alpha().add_file("alpha/run.sh/evil", &json!(4))),
    // Sizes and counts.
    ("size of 2^63", |store| store.alpha().add_file("big", &json!(1_u64 << 63))),
    ("size of 2^64 - 1", |store| store.alpha().add_file("big", &json!(u64::MAX))),
    ("negative size", |store| store.alpha().add_file("big", &json!(-1))),
    ("300,000 directories", |store| {
        store.alpha().nodes().extend((0..300_000).map(|number| json!({ "empty-dir": format!("d{number}") })));
    }),
    ("one directory 300,000 times", |store| {
        store.alpha().nodes().extend((0..300_000).map(|_| json!({ "empty-dir": "d" })));
    }),
    ("300,000 links", |store| {
        store.alpha().nodes().extend((0..300_000).map(|number| json!({ "symlink": [format!("l{number}"), "alpha"] })));
    }),
    ("uv files of 2 GB", |store| {
        store.alpha().header["uv_placements"][0]["file_sizes"] = json!(vec![16 << 20; 128]);
    }),
    ("uv file of 2^64 - 1 bytes", |store| store.alpha().header["uv_placements"][0]["file_sizes"][0] = json!(u64::MAX)),
    ("1,000 placements", |store| {
        let one = store.alpha().header["uv_placements"][0].clone();
        store.alpha().header["uv_placements"] = vec![one; 1_000].into();
        let files = store.alpha().uv_files[0].clone();
        store.alpha().uv_files = vec![files; 1_000];
    }),
    ("20,000 members", |store| store.alpha().header["members"] = vec![json!("wheel/aaa"); 20_000].into()),
    // Frames.
    ("header of 2^63 bytes", |store| {
        let mut content = store.alpha().content();
        content[5..13].copy_from_slice(&(1_u64 << 63).to_le_bytes());
        store.alpha().bytes = Some((compress(&content), content.len() as u64));
    }),
    ("truncated content", |store| {
        let content = store.alpha().content();
        store.alpha().bytes = Some((compress(&content[..content.len() / 2]), content.len() as u64));
    }),
    ("garbage", |store| store.alpha().bytes = Some((b"\x28\xb5\x2f\xfdEVIL".to_vec(), 100))),
    ("no content", |store| store.alpha().overrides.push(("uncompressed_length", json!(0)))),
    ("other version", |store| {
        let content = [b"nxe9\n", &store.alpha().content()[5..]].concat();
        store.alpha().bytes = Some((compress(&content), content.len() as u64));
    }),
    ("deep header", |store| {
        let header = "[".repeat(200_000);
        let content = [b"nxe2\n".as_slice(), &(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        store.alpha().bytes = Some((compress(&content), content.len() as u64));
    }),
    ("another entry", |store| store.alpha().header["entry"] = json!(format!("wheel/{}", "0".repeat(64)))),
    ("length of 2^62", |store| store.alpha().overrides.push(("length", json!(1_u64 << 62)))),
    ("range beyond the pack", |store| {
        store.alpha().overrides.push(("offset", json!(1_u64 << 40)));
    }),
    ("digest of another frame", |store| store.alpha().overrides.push(("frame_digest", json!("0".repeat(64))))),
    ("pack of another scope", |store| {
        let pack = "nx2/org-repo/linux-x86_64/b-other-0000000000000000/p-00000000000000000000000000000000";
        store.alpha().overrides.push(("pack", json!(pack)));
    }),
    // Content.
    ("content that RECORD does not list", |store| store.alpha().replace_file("alpha/__init__.py", b"EVIL", false)),
    ("RECORD removed", |store| {
        store.alpha().nodes().retain(|node| !node["file"][0].as_str().unwrap().ends_with("RECORD"));
    }),
    // Consistent: only sums and key prevent it.
    ("content of the attacker", |store| {
        store.alpha().replace_file("alpha/__init__.py", b"EVIL = 1\n", true);
        store.harms_alpha = false;
    }),
    // Manifests: nothing of them is used.
    ("ranges that overflow", |store| {
        store.alpha().overrides.push(("offset", json!(u64::MAX)));
        store.spares_beta = false;
    }),
    ("60,000 frames", |store| {
        let row = json!({
            "entry": "wheel/aaa", "name": "a", "pack": "nx2/a/p-1", "offset": 0, "length": 1, "uncompressed_length": 1,
            "frame_digest": "0".repeat(64), "tree_digest": "0".repeat(64), "buckets": [], "last_used_day": 0,
        });
        let mut manifest = store.manifest.clone();
        manifest["frames"] = vec![row; 60_000].into();
        store.manifest_bytes = Some(compress(manifest.to_string().as_bytes()));
        store.spares_beta = false;
    }),
    ("100,000 environments", |store| {
        let names = (0..100_000).map(|number| (format!("e{number}"), json!([])));
        store.manifest["environments"] = names.collect::<serde_json::Map<_, _>>().into();
        store.spares_beta = false;
    }),
    ("manifest of 200 MB of nothing", |store| {
        store.manifest_bytes = Some(compress(&vec![b' '; 200 << 20]));
        store.spares_beta = false;
    }),
    ("deep manifest", |store| {
        store.manifest_bytes = Some(compress("[".repeat(300_000).as_bytes()));
        store.spares_beta = false;
    }),
    ("manifest that is not compressed", |store| {
        store.manifest_bytes = Some(b"{\"version\": 2}".to_vec());
        store.spares_beta = false;
    }),
    ("manifest of another version", |store| {
        store.manifest["version"] = json!(99);
        store.spares_beta = false;
    }),
    // Texts: the entry is genuine, its name is not.
    ("hostile names", |store| {
        store.alpha().meta["name"] = json!(HOSTILE_NAME);
        store.alpha().header["name"] = json!(HOSTILE_NAME);
        store.alpha().add_file("evil\n::add-path::/x\u{1b}[2J.pth", &json!(4));
    }),
    ("hostile name of a genuine entry", |store| {
        store.alpha().meta["name"] = json!(HOSTILE_NAME);
        store.alpha().header["name"] = json!(HOSTILE_NAME);
        store.harms_alpha = false;
    }),
    ("name of 1 MB", |store| {
        store.alpha().meta["name"] = json!("n".repeat(1 << 20));
        store.alpha().header["name"] = json!("n".repeat(1 << 20));
        store.harms_alpha = false;
    }),
];
