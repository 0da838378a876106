"""The gates of noxfile.py with coverage measured while unit_tests runs: no second test run.

`noxide ci -f noxfile-merged.py --coverage --fail-under 97` runs them, merges what the
workers of unit_tests measured, and holds it to the threshold that coverage_report had.
"""

import pathlib
import sys

import nox

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import noxfile as planted  # noqa: E402  its sessions are registered as it is imported

nox.options.sessions = [name for name in nox.options.sessions if name != "coverage_report"]


@nox.session(python=planted.DEFAULT_PYTHON, reuse_venv=True, venv_backend="uv")
def unit_tests(session: nox.Session) -> None:
    session.install("-e", ".[tests]")
    planted._create_template_db(session)
    session.run("python", "-m", "compileall", "-q", "src", "features")
    processes = str(planted._default_processes())
    session.run("python", "scripts/run_behave_measured.py", "--processes", processes, *session.posargs)
