"""A package index of the tests' own: makes wheels and source archives, serves them, and counts the bytes it sends."""

import base64
import hashlib
import http.server
import io
import json
import pathlib
import sys
import tarfile
import zipfile


def wheel(directory, package):
    name, version, tag = package["name"], package["version"], package.get("tag", "py3-none-any")
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {need}\n" for need in package.get("requires", []))
    files = {path: text.encode() for path, text in package.get("files", {}).items()}
    files.setdefault(f"{name}/__init__.py", f"VERSION = '{version}'\n".encode())
    for number in range(package.get("many", 0)):
        files[f"{name}/data/{number % 7}/{number}.txt"] = f"{name} {number}\n".encode() * 50
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}".encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    target = directory / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), data)
    return target


def sdist(directory, package):
    """A source archive whose build backend stands in it, so that building needs nothing else."""
    name, version = package["name"], package["version"]
    backend = (
        "import base64, hashlib, zipfile\n"
        "def get_requires_for_build_wheel(config=None): return []\n"
        "def build_wheel(directory, config=None, metadata=None):\n"
        f"    name, version = {name!r}, {version!r}\n"
        "    info = f'{name}-{version}.dist-info'\n"
        "    files = {f'{name}.py': b'BUILT = True\\n',\n"
        "        f'{info}/METADATA': f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n'.encode(),\n"
        "        f'{info}/WHEEL': b'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'}\n"
        "    record = ''\n"
        "    for path, data in files.items():\n"
        "        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()\n"
        "        record += f'{path},sha256={digest},{len(data)}\\n'\n"
        "    files[f'{info}/RECORD'] = (record + f'{info}/RECORD,,\\n').encode()\n"
        "    wheel = f'{name}-{version}-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(f'{directory}/{wheel}', 'w') as archive:\n"
        "        for path, data in files.items(): archive.writestr(path, data)\n"
        "    return wheel\n"
    )
    files = {
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'own'\nbackend-path = ['.']\n"
        f"[project]\nname = '{name}'\nversion = '{version}'\n",
        "own.py": backend,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    target = directory / f"{name}-{version}.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return target


class Handler(http.server.SimpleHTTPRequestHandler):
    sent = {}

    def do_GET(self):
        if self.path == "/sent":
            text = json.dumps(Handler.sent).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            return
        super().do_GET()

    def copyfile(self, source, outputfile):
        data = source.read()
        Handler.sent[self.path] = Handler.sent.get(self.path, 0) + len(data)
        outputfile.write(data)

    def end_headers(self):
        if self.path.startswith("/files/"):
            self.send_header("Cache-Control", "max-age=365000000, immutable, public")
        super().end_headers()

    def log_message(self, *_):
        pass


def main():
    root = pathlib.Path(sys.argv[1])
    files = root / "files"
    files.mkdir(parents=True)
    for package in json.load(sys.stdin):
        made = (sdist if package.get("sdist") else wheel)(files, package)
        digest = hashlib.sha256(made.read_bytes()).hexdigest()
        page = root / "simple" / package["name"].replace("_", "-") / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        with page.open("a") as text:
            text.write(f'<a href="../../files/{made.name}#sha256={digest}">{made.name}</a><br>\n')
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Handler(*args, directory=root))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


main()
