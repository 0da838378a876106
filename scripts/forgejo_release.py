#!/usr/bin/env python3
"""Creates a release of a tag on Forgejo or Gitea, and uploads files to it.

    FORGEJO_TOKEN=… python3 scripts/forgejo_release.py --tag v0.2.0 --notes notes.md dist/*

The server and the repository are those of the workflow (GITHUB_SERVER_URL, GITHUB_REPOSITORY). A release that exists is
completed, so that a failed upload can be repeated.
"""

import argparse
import json
import os
import pathlib
import urllib.error
import urllib.parse
import urllib.request
import uuid


def request(url: str, token: str, data: bytes | None = None, content_type: str = "application/json") -> dict | None:
    """Sends GET, or POST with data; returns the parsed answer, or None if nothing is there."""
    headers = {"Authorization": f"token {token}", "Content-Type": content_type, "Accept": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=300) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404 and data is None:
            return None
        raise SystemExit(f"error: {url}: {error.code} {error.read().decode(errors='replace')[:300]}") from None


def form(path: pathlib.Path) -> tuple[bytes, str]:
    """A file as the body of a form, and the type of that body."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="attachment"; filename="{path.name}"\r\n\r\n'
    return head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tag", required=True)
    parser.add_argument("--notes", type=pathlib.Path, required=True)
    parser.add_argument("files", type=pathlib.Path, nargs="+")
    options = parser.parse_args()
    token = os.environ["FORGEJO_TOKEN"]
    releases = f"{os.environ['GITHUB_SERVER_URL']}/api/v1/repos/{os.environ['GITHUB_REPOSITORY']}/releases"
    release = request(f"{releases}/tags/{urllib.parse.quote(options.tag)}", token)
    if release is None:
        fields = {"tag_name": options.tag, "name": options.tag, "body": options.notes.read_text()}
        release = request(releases, token, json.dumps(fields).encode())
    uploaded = {asset["name"] for asset in release.get("assets") or []}
    for path in options.files:
        if path.name not in uploaded:
            body, content_type = form(path)
            request(f"{releases}/{release['id']}/assets?name={urllib.parse.quote(path.name)}", token, body, content_type)
            print(f"uploaded {path.name}")


if __name__ == "__main__":
    main()
