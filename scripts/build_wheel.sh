#!/bin/sh
# Builds a wheel and the bare binary of one target into DIRECTORY: `scripts/build_wheel.sh TARGET DIRECTORY`.
#
# Linux wheels are linked by zig against glibc 2.17, so that they run wherever manylinux2014 does; they need the tools of
# .ci/release-tools.txt. NOXIDE_WHEEL_PROFILE names another Cargo profile than `dist`.
set -eu
target=$1
mkdir -p "$2"
directory=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
profile=${NOXIDE_WHEEL_PROFILE:-dist}
case $target in
*-linux-gnu)
    rustup target add "$target" 2>/dev/null || echo "rustup did not add $target" >&2
    maturin build --locked --profile "$profile" --target "$target" --zig --compatibility manylinux2014 --out "$directory"
    ;;
*-apple-darwin) maturin build --locked --profile "$profile" --target "$target" --out "$directory" ;;
*)
    echo "no wheels are built for $target" >&2
    exit 2
    ;;
esac

# The bare binary, for those who have no Python.
python3 - "$directory" "$target" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

directory, target = pathlib.Path(sys.argv[1]), sys.argv[2]
platform = {"x86_64-unknown-linux-gnu": "x86_64.whl", "aarch64-unknown-linux-gnu": "aarch64.whl",
            "x86_64-apple-darwin": "x86_64.whl", "aarch64-apple-darwin": "arm64.whl"}[target]
system = "manylinux" if "linux" in target else "macosx"
(wheel,) = (path for path in directory.glob("*.whl") if system in path.name and path.name.endswith(platform))
with zipfile.ZipFile(wheel) as archive:
    (program,) = (name for name in archive.namelist() if name.endswith(".data/scripts/noxide"))
    data = archive.read(program)
name = f"noxide-{wheel.name.split('-')[1]}-{target}"
with tarfile.open(directory / f"{name}.tar.gz", "w:gz") as archive:
    for path, content, mode in [("noxide", data, 0o755)] + [
        (text, pathlib.Path(text).read_bytes(), 0o644) for text in ("README.md", "LICENSE-MIT", "LICENSE-APACHE")
    ]:
        entry = tarfile.TarInfo(f"{name}/{path}")
        entry.size, entry.mode = len(content), mode
        archive.addfile(entry, io.BytesIO(content))
PYTHON
