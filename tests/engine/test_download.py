"""Downloads of weights from a local file server."""

import contextlib
import hashlib
import http.server
import threading
import time

import pytest

from pawjax.engine import download
from pawjax.engine.download import fetch, fetch_named, is_url
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
        if "moved" in self.path:
            self.send_response(302)
            self.send_header("Location", {"/moved": "file:///etc/hostname", "/moved2": "ftp://127.0.0.1/w"}[self.path])
            self.end_headers()
            return
        if "endless" in self.path:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(CONTENT)
            return
        if "drip" in self.path:
            with contextlib.suppress(OSError):
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.02)
            return
        self.send_response(200)
        self.send_header("Content-Length", "many" if "length" in self.path else str(len(CONTENT)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(CONTENT[: 1000 if "short" in self.path else None])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("PAWJAX_CACHE", str(tmp_path))
    Handler.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
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


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/w.pth",
        "file:///etc/hostname",
        "http:///w.pth",
        "http://",
        "https://:80/w.pth",
        "http://host:port/w.pth",
        "http://host:99999/w.pth",
        "http://[::1/w.pth",
        "http://host/a file.pth",
        "http://host/f\u00fc\u00df.pth",
        "http://host/a\nb.pth",
        "s3://bucket/w.pth",
    ],
)
def test_odd_urls_are_refused(server, url):
    assert is_url(url)
    with pytest.raises(InputError, match="config.init_from = .* is not a URL that pawjax downloads"):
        fetch(f"{url}#sha256={DIGEST}")


@pytest.mark.parametrize("path", ["runs/a", "w.pth", "C:/w.pth", "~/w.pth", "a b://c", "./http://x"])
def test_paths_are_no_urls(path):
    assert not is_url(path)


def test_password_is_not_repeated(server):
    with pytest.raises(InputError, match="name of a user") as error:
        fetch(f"http://ann:secret@host/w.pth#sha256={DIGEST}")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/..%2F..%2F..%2Fetc%2Fpasswd", "_.._.._etc_passwd"),
        ("/a/..", "weights"),
        ("/a/", "weights"),
        ("/.hidden", "hidden"),
        ("/a%00b%0A.pth", "a_b_.pth"),
        ("/" + "x" * 5000 + ".pth", "x" * 96 + ".pth"),
    ],
)
def test_name_of_the_copy_is_a_plain_file_name(server, path, name):
    copy = fetch(f"{server}{path}#sha256={DIGEST}")
    assert copy == cache_root() / "weights" / DIGEST / name and copy.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/moved", "not allowed"),
        ("/moved2", "unknown url type|not allowed"),
        ("/endless", "larger than"),
        ("/drip", "too slow"),
        ("/length", "invalid literal"),
    ],
)
def test_servers_without_sense_or_end(server, monkeypatch, path, words):
    monkeypatch.setattr(download, "MOST_BYTES", 2**25)
    monkeypatch.setattr(download, "CHUNK_TIMEOUT", 0.3 if path == "/drip" else 60.0)
    with pytest.raises(InputError, match=f"{path} cannot be downloaded .*({words})"):
        fetch(f"{server}{path}#sha256={DIGEST}")
    assert kept() == []


def test_total_time_is_bounded(server, monkeypatch):
    monkeypatch.setattr(download, "TOTAL_TIMEOUT", 0.2)
    with pytest.raises(InputError, match="too slow"):
        fetch(f"{server}/endless#sha256={DIGEST}")


def test_size_is_refused_before_the_file_is_received(server, monkeypatch):
    monkeypatch.setattr(download, "MOST_BYTES", len(CONTENT) - 1)
    with pytest.raises(InputError, match="larger than"):
        fetch(f"{server}/short.pth#sha256={DIGEST}")


def test_damaged_copy_is_named_and_kept(server):
    source = f"{server}/w.pth#sha256={DIGEST}"
    copy = fetch(source)
    copy.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"w\.pth is damaged .*: remove it"):
        fetch(source)
    assert copy.exists() and len(Handler.asked) == 1


def test_file_named_after_its_first_digits_is_fetched_once_and_checked(server):
    url = f"{server}/net-{DIGEST[:8]}.pth"
    assert fetch_named(url, DIGEST[:8]).read_bytes() == CONTENT
    assert fetch_named(url, DIGEST[:8]) == cache_root() / "weights" / DIGEST[:8] / f"net-{DIGEST[:8]}.pth"
    assert len(Handler.asked) == 1
    with pytest.raises(InputError, match=f"net-01234567.pth is not the expected file: its sha256 is {DIGEST}"):
        fetch_named(f"{server}/net-01234567.pth", "01234567")
    assert kept() == [f"net-{DIGEST[:8]}.pth"]
