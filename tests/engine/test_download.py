"""Downloads of weights from a local file server."""

import hashlib
import http.server
import threading

import pytest

from pawjax.engine.download import fetch
from pawjax.errors import InputError
from pawjax.machine import cache_root

CONTENT = bytes(range(256)) * 20_000  # 5 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path)
        if "missing" in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: 1000 if "short" in self.path else None])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("PAWJAX_CACHE", str(tmp_path))
    Handler.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def kept() -> list[str]:
    return [path.name for path in cache_root("").rglob("*") if path.is_file()]


def test_file_is_fetched_once(server):
    source = f"{server}/models/resnet50.pth?x=1#sha256={DIGEST}"
    path = fetch(source)
    assert path.name == "resnet50.pth" and path.read_bytes() == CONTENT
    assert fetch(source) == path and len(Handler.asked) == 1 and kept() == ["resnet50.pth"]


@pytest.mark.parametrize(
    "tail, words",
    [
        ("/other.pth#sha256=" + "0" * 64, "is not the expected file"),
        ("/missing.pth#sha256=" + DIGEST, "cannot be downloaded.*404|Not Found"),
        ("/short.pth#sha256=" + DIGEST, "cannot be downloaded"),
        ("/resnet50.pth", "sha256"),
    ],
)
def test_failed_download_is_reported_and_leaves_nothing(server, tail, words):
    with pytest.raises(InputError, match=words):
        fetch(server + tail)
    assert kept() == []


def test_error_without_network_says_where_to_put_the_file(server):
    with pytest.raises(InputError, match=r"127.0.0.1:9/w.pth cannot be downloaded .* put it at .*w\.pth"):
        fetch(f"http://127.0.0.1:9/w.pth#sha256={DIGEST}")
