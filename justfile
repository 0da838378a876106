# Recipes for working on noxide. `just` alone lists them.

_list:
    @just --list --unsorted

# everything a change must pass, as CI runs it
ready:
    .ci/run

# the tests, or some of them: just test architecture
test *arguments:
    .ci/test {{ arguments }}

# the tests without the slow ones: under two minutes after the build
test-fast *arguments:
    .ci/test --fast {{ arguments }}

# the quick part of `ready`
check:
    .ci/guard
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# code as systems other than Linux see it
portable:
    RUSTC_WORKSPACE_WRAPPER=.ci/rustc/portable cargo check --all-targets

# noxide on the example, as in the README
example *arguments:
    cargo run --release -- run -C examples/parcelbook {{ arguments }}

# figures against nox, e.g.: just bench --rounds 5 trivial chain
bench *arguments:
    python3 benches/run/bench.py {{ arguments }}

# statuses on the example against nox one by one, many times, e.g.: just equal --runs 3
equal *arguments:
    python3 benches/run/equal.py {{ arguments }}

# what a stranger does: fresh clone, empty HOME, the README's two commands
stranger:
    .ci/stranger

# the documentation as a site in target/site
docs:
    .ci/test --tools
    NO_MKDOCS_2_WARNING=1 target/venv/bin/mkdocs build --strict

# a wheel of this tree in target/wheels
wheel:
    target/venv/bin/python -m pip wheel . --no-deps --wheel-dir target/wheels
