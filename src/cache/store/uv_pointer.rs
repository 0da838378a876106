//! uv's pointer files (`….http`, `….rev`): uv joins the name in them to its cache and installs what is there, so a pointer
//! from a remote cache is used only if it names nothing but the tree that was verified.

use super::entry_id::EntryKind;
use crate::project::dependencies::normalize_name;

/// Maximum depth of values that are skipped.
const MAX_DEPTH: u8 = 8;
/// Maximum length of the name of a link in uv's cache; uv shortens longer ones.
const MAX_LINK_NAME_LEN: usize = 64;
/// Length of the digest that replaces the tags of a wheel in the name of a link.
const TAG_DIGEST_LEN: usize = 16;

/// What a pointer file of uv names: the beginning of the file, which is all that uv takes from it besides the answer of
/// the server.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cache) struct UvPointer<'a> {
    /// Name of the unpacked wheel in uv's cache; of a source archive, the directory of what was built from it.
    id: &'a str,
    /// SHA-256 of the wheel or source archive, if that is the only digest.
    sha256: Option<&'a str>,
    /// File name of the wheel; older versions of uv do not write it.
    file_name: Option<&'a str>,
}

impl<'a> UvPointer<'a> {
    /// Parses a pointer file of a kind of entry; `path` tells whether it is that of a download (`.http`) or of a local file
    /// (`.rev`). Returns `None` if the file has another form than uv writes.
    pub(in crate::cache) fn parse(kind: EntryKind, path: &str, bytes: &'a [u8]) -> Option<Self> {
        let mut reader = MessageReader { rest: bytes };
        let is_local = path.ends_with(".rev");
        let mut values_after = 0;
        if is_local {
            // When the file was changed, the pointer, and in some versions of uv how it was built.
            let value_count = reader.read_array_len()?;
            (2..=3).contains(&value_count).then_some(())?;
            values_after = value_count - 2;
            reader.skip_value(MAX_DEPTH)?;
        }
        let field_count = reader.read_array_len()?;
        let max_fields = if kind == EntryKind::Wheel { 5 } else { 3 };
        (2..=max_fields).contains(&field_count).then_some(())?;
        let id = reader.read_text()?;
        let sha256 = read_single_sha256(&mut reader)?;
        let (mut file_name, mut read_fields) = (None, 2);
        if kind == EntryKind::Wheel && field_count > read_fields {
            file_name = Some(reader.read_text()?);
            read_fields += 1;
        }
        // A version and a size.
        for _ in read_fields..field_count {
            reader.skip_number()?;
        }
        for _ in 0..values_after {
            reader.skip_value(MAX_DEPTH)?;
        }
        (!is_local || reader.rest.is_empty()).then_some(Self { id, sha256, file_name })
    }

    /// Returns the name that uv looks for in its cache.
    pub(in crate::cache) fn id(&self) -> &'a str {
        self.id
    }

    /// Returns whether it has exactly one digest, a SHA-256.
    pub(in crate::cache) fn has_single_digest(&self) -> bool {
        self.sha256.is_some()
    }

    /// Returns whether it is the pointer of this wheel: the tree has this name, the wheel this digest and no other, and its
    /// file the name by which uv looks for this link.
    pub(in crate::cache) fn is_of_wheel(&self, digest: &str, tree_name: &str, link: &str) -> bool {
        self.id == tree_name
            && self.sha256 == Some(digest)
            && self.file_name.is_none_or(|file_name| is_file_of_link(file_name, link))
    }

    /// Returns whether it is the pointer of a source archive with this digest and no other, whose builds are in this directory.
    pub(in crate::cache) fn is_of_source(&self, digest: &str, directory: &str) -> bool {
        self.id == directory && self.sha256 == Some(digest)
    }
}

/// Reads a list of digests; returns the SHA-256 if it is the only one.
fn read_single_sha256<'a>(reader: &mut MessageReader<'a>) -> Option<Option<&'a str>> {
    let count = reader.read_array_len()?;
    let mut found = None;
    for _ in 0..count {
        // `{"Sha256": "…"}`; older versions of uv write `["Sha256", "…"]`.
        reader.read_pair_start()?;
        let (algorithm, digest) = (reader.read_text()?, reader.read_text()?);
        found = (algorithm == "Sha256").then_some(digest);
    }
    Some(found.filter(|_| count == 1))
}

/// Returns whether uv gives a link this name for a wheel of this file name.
fn is_file_of_link(file_name: &str, link: &str) -> bool {
    let mut parts = link.rsplit('/');
    let (Some(link_name), Some(directory)) = (parts.next(), parts.next()) else { return false };
    let Some(stem) = file_name.strip_suffix(".whl") else { return false };
    let Some((name, key)) = stem.split_once('-') else { return false };
    let is_shortened = || {
        let version = key.split('-').next().unwrap_or_default();
        let version = version.get(..MAX_LINK_NAME_LEN - TAG_DIGEST_LEN - 1).unwrap_or(version);
        let digest = link_name.strip_prefix(version).and_then(|rest| rest.strip_prefix('-'));
        let is_digest = |text: &str| text.len() == TAG_DIGEST_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        key.len() > MAX_LINK_NAME_LEN && digest.is_some_and(is_digest)
    };
    // Some versions of uv begin the name of the link with that of the package.
    normalize_name(name) == normalize_name(directory) && (link_name == key || link_name == stem || is_shortened())
}

/// Reads the parts of MessagePack that uv's pointers consist of.
struct MessageReader<'a> {
    rest: &'a [u8],
}

impl<'a> MessageReader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn read_byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// Reads a big-endian length of one or two bytes.
    fn read_length(&mut self, byte_count: usize) -> Option<usize> {
        let bytes = self.take(byte_count)?;
        Some(bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)))
    }

    fn read_array_len(&mut self) -> Option<usize> {
        match self.read_byte()? {
            type_byte @ 0x90..=0x9f => Some(usize::from(type_byte & 0x0f)),
            _ => None,
        }
    }

    /// Reads the beginning of a map with one entry, or of an array of two values.
    fn read_pair_start(&mut self) -> Option<()> {
        matches!(self.read_byte()?, 0x81 | 0x92).then_some(())
    }

    /// Reads a text in its shortest form, so that one pointer has one form.
    fn read_text(&mut self) -> Option<&'a str> {
        let (length, lengths) = match self.read_byte()? {
            type_byte @ 0xa0..=0xbf => (usize::from(type_byte & 0x1f), 0..=31),
            0xd9 => (self.read_length(1)?, 32..=0xff),
            0xda => (self.read_length(2)?, 0x100..=0xffff),
            _ => return None,
        };
        lengths.contains(&length).then_some(())?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// Skips an integer without a sign, or `nil`.
    fn skip_number(&mut self) -> Option<()> {
        let length = match self.read_byte()? {
            0x00..=0x7f | 0xc0 => 0,
            0xcc => 1,
            0xcd => 2,
            0xce => 4,
            0xcf => 8,
            _ => return None,
        };
        self.take(length).map(drop)
    }

    /// Skips any value without binary data and extensions.
    fn skip_value(&mut self, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let type_byte = self.rest.first().copied()?;
        let skip_values = |reader: &mut Self, count: usize| (0..count).try_for_each(|_| reader.skip_value(depth));
        match type_byte {
            0x90..=0x9f => {
                let count = self.read_array_len()?;
                skip_values(self, count)
            }
            0x80..=0x8f => {
                self.read_byte()?;
                skip_values(self, 2 * usize::from(type_byte & 0x0f))
            }
            0xa0..=0xbf | 0xd9 | 0xda => self.read_text().map(drop),
            // Booleans and integers with a sign.
            0xc2 | 0xc3 | 0xe0..=0xff => self.take(1).map(drop),
            0xd0..=0xd3 => self.take(1 + (1 << (type_byte - 0xd0))).map(drop),
            _ => self.skip_number(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "wheels-v8/pypi/six/1.17.0-py2.py3-none-any";
    const TREE: &str = "ZAm16tRex-oLO_Mm";

    fn digest() -> String {
        "4f".repeat(32)
    }

    fn text(value: &str) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        let type_byte = if length < 32 { vec![0xa0 | length] } else { vec![0xd9, length] };
        [type_byte, value.as_bytes().to_vec()].concat()
    }

    /// A pointer as uv writes it, with these digests.
    fn pointer(id: &str, digests: &[(&str, &str)], file_name: &str) -> Vec<u8> {
        let mut bytes = [vec![0x95], text(id), vec![0x90 | u8::try_from(digests.len()).unwrap()]].concat();
        for (algorithm, digest) in digests {
            bytes.extend([vec![0x81], text(algorithm), text(digest)].concat());
        }
        bytes.extend([text(file_name), vec![0x00, 0xcd, 0x2b, 0x2a]].concat());
        bytes
    }

    fn is_valid(bytes: &[u8], path: &str) -> bool {
        UvPointer::parse(EntryKind::Wheel, path, bytes)
            .is_some_and(|pointer| pointer.is_of_wheel(&digest(), TREE, LINK))
    }

    #[test]
    fn a_pointer_names_one_tree_one_digest_and_the_file_of_its_link() {
        let (path, file) = (format!("{LINK}.http"), "six-1.17.0-py2.py3-none-any.whl");
        let sha256 = digest();
        let one = [("Sha256", sha256.as_str())];
        let good = pointer(TREE, &one, file);
        assert!(is_valid(&good, &path));
        assert!(is_valid(&[good.clone(), vec![0; 40]].concat(), &path), "followed by the answer of the server");
        let older = [vec![0x92], text(TREE), vec![0x91, 0x92], text("Sha256"), text(&sha256)].concat();
        assert!(is_valid(&older, &path), "without the file name");
        for id in ["/tmp/x/ZAm16tRex-oLO_Mm", "../evil/ZAm16tRex-oLO_Mm", "ZAm16tRex-oLO_Mm/x", "ZAm16tRex-oLO_Mn", ""]
        {
            // The name of the tree and the digest occur in another part of the file.
            let bytes = [pointer(id, &one, file), format!("{TREE} {sha256}").into_bytes()].concat();
            assert!(!is_valid(&bytes, &path), "{id}");
        }
        let other = "5e".repeat(32);
        let long = "4f".repeat(64);
        assert!(!is_valid(&pointer(TREE, &[("Sha256", &other)], file), &path));
        assert!(!is_valid(&pointer(TREE, &[("Sha256", &sha256), ("Sha512", &long)], file), &path));
        assert!(!is_valid(&pointer(TREE, &[("Md5", &sha256)], file), &path));
        assert!(!is_valid(&pointer(TREE, &[], file), &path));
        for file in
            ["other-1.17.0-py2.py3-none-any.whl", "six-9-py2.py3-none-any.whl", "six-1.17.0-py2.py3-none-any", ""]
        {
            assert!(!is_valid(&pointer(TREE, &one, file), &path), "{file}");
        }
        for length in 0..good.len() {
            assert!(!is_valid(&good[..length], &path), "{length}");
        }
    }

    #[test]
    fn a_pointer_to_a_local_file_is_parsed_to_its_end() {
        let (path, sha256) = (format!("{LINK}.rev"), digest());
        let archive = pointer(TREE, &[("Sha256", &sha256)], "six-1.17.0-py2.py3-none-any.whl");
        let time = [0x92, 0x92, 0xce, 0x6b, 0x0e, 0x9b, 0xf1, 0xce, 0x1d, 0x46, 0xd6, 0xc0];
        let local = [time.as_slice(), &archive].concat();
        assert!(is_valid(&local, &path));
        assert!(!is_valid(&[local.as_slice(), b"x"].concat(), &path) && !is_valid(&archive, &path));
        assert!(!is_valid(&local, &format!("{LINK}.http")));
        let deep = [vec![0x92], vec![0x91; 100_000]].concat();
        assert!(!is_valid(&deep, &path), "no recursion without a limit");
        let info = [0x95, 0x92, 0x01, 0xd2, 0, 0, 0, 1, 0xc0, 0xc3, 0x80, 0x81, 0xa3, b's', b'r', b'c', 0xff];
        let source =
            [vec![0x92], info.to_vec(), vec![0x93], text("rev"), archive[1 + 17..1 + 17 + 75].to_vec(), vec![0xc0]];
        let source = source.concat();
        let parsed = UvPointer::parse(EntryKind::BuiltWheel, "revision.rev", &source).unwrap();
        assert!(parsed.is_of_source(&sha256, "rev") && !parsed.is_of_source(&sha256, "other"));
    }

    #[test]
    fn uv_shortens_the_names_of_links() {
        let tags = "cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64";
        let file = format!("zope_interface-8.7-{tags}.whl");
        assert!(is_file_of_link(&file, "wheels-v8/pypi/zope-interface/8.7-516d0c2242d49034"));
        for link in
            ["zope-interface/8.8-516d0c2242d49034", "zope-interface/8.7-516d0c2242d4903", "other/8.7-516d0c2242d49034"]
        {
            assert!(!is_file_of_link(&file, link), "{link}");
        }
        assert!(!is_file_of_link("a-1-py3-none-any.whl", "a/1-516d0c2242d49034"), "short enough as it is");
        assert!(is_file_of_link("a-1-py3-none-any.whl", "wheels-v3/pypi/a/a-1-py3-none-any"));
    }
}
