"""Changes of local projects, and whether an install that built the project before may be skipped after each.

Arguments: the files of the host program that decide it. Prints what is decided otherwise than expected.
"""

import contextlib
import json
import os
import re
import sys
import tempfile

SCOPE = {"os": os, "re": re, "json": json, "contextlib": contextlib, "__name__": "facts"}
for path in sys.argv[1:]:
    with open(path) as file:
        exec(compile(file.read(), path, "exec"), SCOPE)

PROJECT = '[project]\nname = "own-x"\nversion = "1"\nreadme = "README.md"\n'
FILES = {"README.md": "x", "LICENSE": "l", "own_x/__init__.py": "", "own_x/data.txt": "d", "tests/test_a.py": ""}
STRAY = {"notes.txt": "", "todo.md": "", "Makefile": "", "scratch.py": "", "run.log": ""}


def pyproject(backend, rest="", project=PROJECT):
    return '[build-system]\nbuild-backend = "%s"\n%s%s' % (backend, project, rest)


BACKENDS = {
    "setuptools": pyproject("setuptools.build_meta"),
    "setuptools that searches": pyproject("setuptools.build_meta", '[tool.setuptools.packages.find]\nwhere = ["."]\n'
                                          'include = ["*"]\n[tool.ruff]\ninclude = ["*.py"]\n'),
    "hatchling": pyproject("hatchling.build"),
    "flit": pyproject("flit_core.buildapi"),
    "poetry": pyproject("poetry.core.masonry.api", '[tool.poetry]\npackages = [{ include = "own_x" }]\n'),
    "pdm": pyproject("pdm.backend"),
    "uv": pyproject("uv_build", '[tool.uv.build-backend]\nmodule-root = ""\n'),
}
SRC = pyproject("setuptools.build_meta", '[tool.setuptools.packages.find]\nwhere = ["src"]\n')
SETUP_CFG = '[build-system]\nbuild-backend = "setuptools.build_meta"\n'
CFG = "[metadata]\nname = own-x\nversion = %s\nlong_description = file: docs/long.md\n[options]\npackages = find:\n"


def decide(files, change, editable):
    """Returns "skips", "installs", or "never skips" for a project that was installed and then changed."""
    with tempfile.TemporaryDirectory() as root:
        def write(contents):
            for name, text in contents.items():
                os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
                if text.startswith("-> "):
                    os.symlink(text[3:], os.path.join(root, name))
                    continue
                with open(os.path.join(root, name), "w") as file:
                    file.write(text)

        write(files)
        try:
            before = SCOPE["project_facts"](root, editable)
            write(change)
            return "skips" if SCOPE["project_facts"](root, editable) == before else "installs"
        except SCOPE["UncertainInstall"]:
            return "never skips"


def cases():
    """Yields name, files, change, and the decisions for an editable and for another install."""
    for name, text in BACKENDS.items():
        files = dict(FILES, **{"pyproject.toml": text})
        yield name + ": stray files at the top", files, STRAY, "skips", "skips"
        yield name + ": a new package", files, {"other/__init__.py": ""}, "installs", "installs"
        yield name + ": a source", files, {"own_x/__init__.py": "A = 1"}, "skips", "installs"
        yield name + ": package data", files, {"own_x/data.txt": "e"}, "skips", "installs"
        hidden = dict(files, **{"own_x/.cfg": "1", "own_x/.template/a": "1"})
        yield name + ": a hidden file of a package", hidden, {"own_x/.cfg": "2"}, "skips", "installs"
        yield name + ": a hidden directory of a package", hidden, {"own_x/.template/a": "2"}, "skips", "installs"
        yield name + ": the readme", files, {"README.md": "y"}, "installs", "installs"
        yield name + ": the license", files, {"LICENSE": "y"}, "installs", "installs"
        yield name + ": another license", files, {"COPYING.txt": "y"}, "installs", "installs"
        yield name + ": metadata", files, {"pyproject.toml": text + "#\n"}, "installs", "installs"
        yield name + ": own settings", files, {"setup.py": ""}, "never skips", "never skips"
    linked = dict(FILES, **{"pyproject.toml": BACKENDS["hatchling"], "data.txt": "1", "own_x/data": "-> ../data.txt"})
    yield "a link to a file", linked, {"data.txt": "2"}, "skips", "installs"
    linked = dict(FILES, **{"pyproject.toml": BACKENDS["hatchling"], "shared/a.txt": "1", "own_x/shared": "-> ../shared"})
    yield "a link to a directory", linked, {}, "skips", "skips"
    yield "what a link to a directory leads to", linked, {"shared/a.txt": "2"}, "skips", "installs"
    outside = dict(FILES, **{"pyproject.toml": BACKENDS["hatchling"], "my-lib": "-> /"})
    yield "a link out of the project", outside, {}, "skips", "never skips"
    named = dict(FILES, **{"pyproject.toml": pyproject("hatchling.build", '[tool.hatch.build.targets.wheel]\npackages = [".src/pkg"]\n'),
                           ".src/pkg/__init__.py": "", "own_x/.mypy_cache/a": "1"})
    yield "a hidden directory that is named", named, {".src/pkg/__init__.py": "A = 1"}, "skips", "installs"
    yield "a cache of a tool", named, {"own_x/.mypy_cache/a": "2"}, "skips", "skips"
    src = {"pyproject.toml": SRC, "README.md": "", "src/a/__init__.py": ""}
    yield "src: a new package", src, {"src/b/__init__.py": ""}, "installs", "installs"
    yield "src: a stray directory", src, {"notes/x.txt": ""}, "skips", "installs"
    yield "src: a build", src, {"build/lib/a/__init__.py": "", "own_x.egg-info/PKG-INFO": ""}, "skips", "skips"
    module = {"pyproject.toml": BACKENDS["flit"], "own_x.py": "a", "README.md": ""}
    yield "one module: its source", module, {"own_x.py": "b"}, "skips", "installs"
    yield "one module: becomes a package", module, {"own_x/__init__.py": ""}, "installs", "installs"
    cfg = {"pyproject.toml": SETUP_CFG, "setup.cfg": CFG % "1", "docs/long.md": "", "own_x/__init__.py": ""}
    yield "setup.cfg: a new package", cfg, {"other/__init__.py": ""}, "installs", "installs"
    yield "setup.cfg: a named file", cfg, {"docs/long.md": "y"}, "installs", "installs"
    yield "setup.cfg: a stray file", cfg, {"notes.txt": ""}, "skips", "skips"
    yield "setup.cfg: a computed version", dict(cfg, **{"setup.cfg": CFG % "attr: own_x.V"}), {}, "never skips", "never skips"
    hatch = pyproject("hatchling.build", '[tool.hatch.build.targets.wheel]\ninclude = ["*.txt"]\n')
    yield "files chosen by a pattern", dict(FILES, **{"pyproject.toml": hatch}), {"notes.txt": ""}, "skips", "installs"
    globs = pyproject("hatchling.build", "", PROJECT + 'license-files = ["legal/*.txt"]\n')
    files = dict(FILES, **{"pyproject.toml": globs, "legal/a.txt": ""})
    yield "licenses chosen by a pattern", files, {"legal/b.txt": ""}, "installs", "installs"
    for table in ('[tool.uv.sources]\nother = { path = "../other" }\n', '[tool.uv.sources]\nother = { workspace = true }\n',
                  '[tool.uv.sources.other]\npath = "../other"\n', '[tool.hatch.version]\nsource = "dynamic"\n'):
        files = dict(FILES, **{"pyproject.toml": pyproject("hatchling.build", table)})
        yield "what is read is not known: " + table, files, {}, "never skips", "never skips"


count = 0
for case_name, case_files, case_change, if_editable, otherwise in cases():
    for is_editable, expected in ((True, if_editable), (False, otherwise)):
        count += 1
        decided = decide(case_files, case_change, is_editable)
        if decided != expected:
            print("%s (editable: %s): %s, expected: %s" % (case_name, is_editable, decided, expected))
with tempfile.TemporaryDirectory() as directory:
    for content, is_certain in (("six==1.16\n", True), ("six==${VERSION}\n", False)):
        requirements = os.path.join(directory, "requirements.txt")
        with open(requirements, "w") as file:
            file.write(content)
        try:
            SCOPE["file_facts"](requirements, [])
            decided = True
        except SCOPE["UncertainInstall"]:
            decided = False
        if decided != is_certain:
            print("%r: %s, expected: %s" % (content, decided, is_certain))
print("%d cases" % count)
