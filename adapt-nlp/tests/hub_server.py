"""A hub for tests: the few addresses from which ``datasets`` loads a data set, served from this process."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(repositories: Mapping[str, Mapping[str, bytes]]) -> Iterator[str]:
    """Serves repositories (files by path, by name) and yields the address for ``HF_ENDPOINT``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urllib.parse.urlsplit(self.path).path
            name = next((name for name in repositories if f"/datasets/{name}/" in f"{path}/"), None)
            if name is None:
                return self.answer(404, error="RepoNotFound")
            files = repositories[name]
            before, _, after = path.partition(f"/datasets/{name}")
            parts = after.strip("/").split("/")
            if before == "/api" and parts[0] == "tree":
                folder = "/".join(parts[2:])
                entries = [
                    {"type": "file", "path": file, "size": len(content), "oid": "0" * 40}
                    for file, content in files.items()
                    if file.startswith(folder)
                ]
                return self.answer(200, json.dumps(entries).encode())
            if before == "/api":
                siblings = [{"rfilename": file} for file in files]
                about = {"id": name, "sha": COMMIT, "private": False, "tags": [], "siblings": siblings}
                return self.answer(200, json.dumps(about).encode())
            content = files.get("/".join(parts[2:]))
            return self.answer(200, content) if content is not None else self.answer(404, error="EntryNotFound")

        do_HEAD = do_GET

        def answer(self, status: int, body: bytes = b"", error: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hash(body)}"')
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
