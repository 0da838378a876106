"""The project whose 170 locked packages are restored: written, locked and installed anew for each benchmark."""

from __future__ import annotations

import pathlib
import subprocess

RUNTIME = """fastapi sqlalchemy pydantic pydantic-settings alembic httpx typer rich structlog tenacity pyyaml jinja2
numpy pandas networkx langchain-core openai boto3 redis celery prometheus-client python-dotenv gitpython""".split()
"""23 direct dependencies of a program of today."""
GROUPS = {
    "tests": "pytest pytest-cov hypothesis behave robotframework robotframework-pabot slipcover freezegun".split(),
    "lint": ["ruff"],
    "typecheck": "pyright mypy".split(),
    "security": "bandit semgrep vulture".split(),
    "docs": "mkdocs-material mkdocstrings[python]".split(),
    "dev": "asv build hatchling coverage radon".split(),
}


def write(directory: pathlib.Path) -> None:
    """Writes the project's one file."""
    groups = "".join(f"{name} = {packages!r}\n" for name, packages in GROUPS.items())
    (directory / "pyproject.toml").write_text(
        '[project]\nname = "many-needs"\nversion = "1"\nrequires-python = ">=3.11"\n'
        f"dependencies = {RUNTIME!r}\n[dependency-groups]\n{groups}[tool.uv]\npackage = false\n"
    )


def install(directory: pathlib.Path, uv: str, env: dict[str, str]) -> None:
    """Locks and installs everything into an environment, from the network where the cache is empty."""
    for command in (["lock", "--quiet"], ["sync", "--quiet", "--frozen", "--all-groups"]):
        subprocess.run([uv, *command], cwd=directory, env=env, check=True)
