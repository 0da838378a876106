"""Quality gates."""

import json
import os
import pathlib
import sys
import tempfile

import nox

# FIXTURE_PYTHON picks another interpreter than the one that runs nox (README, "Use").
nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = [
    "lint", "format", "typecheck", "security_scan", "dead_code", "unit_tests",
    "integration_tests", "docs", "build", "benchmark", "coverage_report",
]
os.environ.setdefault("UV_CACHE_DIR", "/tmp/uv-cache")

DEFAULT_PYTHON = os.environ.get("FIXTURE_PYTHON", f"{sys.version_info.major}.{sys.version_info.minor}")
BUILD = pathlib.Path("build")
TEMPLATE_DB = BUILD / ".template-migrated.db"
COVERAGE_THRESHOLD = 97
BEHAVE_PARALLEL_VERSION = "0.2.0"


def _default_processes() -> int:
    if env := os.environ.get("TEST_PROCESSES"):
        return int(env)
    return len(os.sched_getaffinity(0)) or 1


def _create_template_db(session: nox.Session) -> None:
    session.run("python", "scripts/create_template_db.py", str(TEMPLATE_DB))
    session.env["PARCELBOOK_TEMPLATE_DB"] = str(TEMPLATE_DB.resolve())


def _install_behave_parallel(session: nox.Session) -> None:
    """Builds a throw-away package from the script and installs it (their habit)."""
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp)
        (root / "behave_parallel").mkdir()
        (root / "behave_parallel" / "__init__.py").touch()
        (root / "behave_parallel" / "__main__.py").write_text(
            pathlib.Path("scripts/run_behave_parallel.py").read_text()
        )
        (root / "pyproject.toml").write_text(
            '[build-system]\nrequires=["hatchling"]\nbuild-backend="hatchling.build"\n'
            f'[project]\nname="behave-parallel"\nversion="{BEHAVE_PARALLEL_VERSION}"\n'
            '[tool.hatch.build.targets.wheel]\npackages=["behave_parallel"]\n'
        )
        session.install(str(root))


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def lint(session: nox.Session) -> None:
    session.install(".[lint]")
    session.run("ruff", "check", "src", "scripts", "benchmarks", "noxfile.py")


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def format(session: nox.Session) -> None:
    session.install(".[lint]")
    session.run("ruff", "format", *session.posargs, "src", "scripts", "benchmarks")


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def typecheck(session: nox.Session) -> None:
    session.install("-e", ".[types]")
    session.run("pyright", "--pythonpath", f"{session.bin}/python")


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def security_scan(session: nox.Session) -> None:
    session.install("-e", ".[security]")
    BUILD.mkdir(exist_ok=True)
    session.run("bandit", "-c", "pyproject.toml", "-r", "src", "--severity-level", "medium",
                "--format", "json", "--output", "build/bandit-report.json", "-q", success_codes=[0, 1])
    session.run("bandit", "-c", "pyproject.toml", "-r", "src", "--severity-level", "high", "-q")
    session.run("semgrep", "scan", "--config", "semgrep/rules.yml", "--metrics", "off",
                "--disable-version-check", "--error", "--quiet",
                "--json", "--output", "build/semgrep-report.json", "src")
    session.run("vulture")


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def dead_code(session: nox.Session) -> None:
    session.install("-e", ".[security]")
    session.run("vulture")


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def unit_tests(session: nox.Session) -> None:
    session.install("-e", ".[tests]")
    _install_behave_parallel(session)
    _create_template_db(session)
    session.run("python", "-m", "compileall", "-q", "src", "features")
    session.run("python", "-m", "behave_parallel", "--processes", str(_default_processes()), *session.posargs)


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def integration_tests(session: nox.Session) -> None:
    session.install("-e", ".[tests]")
    _create_template_db(session)
    session.run("pabot", "--processes", str(_default_processes()), "--outputdir", "build/robot", "robot")


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def docs(session: nox.Session) -> None:
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", "--strict", "--quiet")


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def build(session: nox.Session) -> None:
    session.install("build", "hatchling")
    session.run("python", "-m", "build", "--wheel", "--outdir", "dist", external=False)


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def benchmark(session: nox.Session) -> None:
    session.install("-e", ".[bench]")
    session.run("asv", "machine", "--yes")
    session.run("asv", "run", "--python=same", "--quick", "--dry-run", success_codes=[0])


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def coverage_report(session: nox.Session) -> None:
    session.install("-e", ".[tests]")
    _install_behave_parallel(session)
    _create_template_db(session)
    session.env["BEHAVE_PARALLEL_COVERAGE"] = "1"
    BUILD.mkdir(exist_ok=True)
    session.run("python", "-m", "slipcover", "--source", "src", "--json", "--out", "build/coverage.json",
                "-m", "behave_parallel", success_codes=[0, 1])
    found = json.loads((BUILD / "coverage.json").read_text())["summary"]["percent_covered"]
    session.log(f"COVERAGE {found:.2f}%")
    if found < COVERAGE_THRESHOLD:
        session.error(f"coverage {found:.2f}% is below {COVERAGE_THRESHOLD}%")


@nox.session(python=DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def complexity(session: nox.Session) -> None:
    session.install("radon>=6.0")
    session.run("radon", "cc", "src", "-a", "-nc")
