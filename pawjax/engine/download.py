"""Weight files from a URL: downloaded once, verified, cached."""

import hashlib
import queue
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from pawjax.errors import InputError
from pawjax.files import replacing
from pawjax.machine import cache_root
from pawjax.progress import track

CHUNK = 2**20  # bytes
TIMEOUT = 30.0  # seconds without a byte
CHUNK_TIMEOUT = 120.0  # seconds for the answer, and for each chunk: 9 kB/s at least
TOTAL_TIMEOUT = 4 * 3600.0  # seconds
MOST_BYTES = 2**32  # of a file; those of networks have up to 0.6 GB
LONGEST_NAME = 100  # characters
HANDLERS = (  # of HTTP alone: a redirection to a file or to FTP is refused
    urllib.request.ProxyHandler,
    urllib.request.UnknownHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPRedirectHandler,
    urllib.request.HTTPErrorProcessor,
)


def is_url(source: str) -> bool:
    """Whether `config.init_from` is a URL, of whatever kind."""
    return re.match("[A-Za-z][A-Za-z0-9+.-]*://", source) is not None


def fetch(source: str) -> Path:
    """The local copy of 'http(s)://HOST/FILE#sha256=HEX', in pawjax's cache; a second call needs no network.

    The file may have 4 GB; the download may take four hours, and two minutes for each MB.
    Raises InputError for another URL, one without a sha256, a file with another sha256, or a failed download.
    """
    url, _, fragment = source.partition("#")
    parts = _split(url)
    expected = fragment.removeprefix("sha256=").lower()
    if not re.fullmatch("[0-9a-f]{64}", expected):
        raise InputError(f"config.init_from = '{source}': append the file's sha256 to the URL, as URL#sha256=...")
    return _fetch(url, expected, _file_name(parts.path))


def fetch_named(url: str, digits: str) -> Path:
    """`fetch` for a file that its publisher names after the first `digits` of its sha256."""
    return _fetch(url, digits, _file_name(url))


def digest_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(url: str, expected: str, name: str) -> Path:
    """The local copy of the file whose sha256 begins with the digits `expected`; raises as `fetch`."""
    target = cache_root() / "weights" / expected / name
    if target.is_file():
        found = digest_of(target)
        if not found.startswith(expected):
            raise InputError(f"{target} is damaged (its sha256 is {found}): remove it to download it again")
        return target
    digest = hashlib.sha256()
    try:
        with replacing(target) as temporary:
            with temporary.open("wb") as file:
                for block in _blocks(url, target.name):
                    digest.update(block)
                    file.write(block)
            if not digest.hexdigest().startswith(expected):
                raise InputError(f"{url} is not the expected file: its sha256 is {digest.hexdigest()}, not {expected}")
    except InputError:
        raise
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, ValueError) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())[:200]
        raise InputError(
            f"{url} cannot be downloaded ({reason}): download it elsewhere and put it at "
            f"{target}, or set config.init_from to its path"
        ) from error
    return target


def _split(url: str) -> SplitResult:
    """The parts of the URL. Raises InputError unless it is a plain http or https URL."""
    if "@" in re.split("[/?]", url.partition("://")[2])[0]:  # not repeated here, as it may hold a password
        raise InputError(
            "config.init_from is a URL with the name of a user, which pawjax does not send: download the file and give "
            "its path"
        )
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        fits = fits and url.isascii() and url.isprintable() and " " not in url
    except ValueError:  # a port or an IPv6 address that is none
        fits = False
    if not fits:
        raise InputError(
            f"config.init_from = {url!r} is not a URL that pawjax downloads: it must be http://HOST/FILE or "
            "https://HOST/FILE, with spaces and special characters percent-encoded; or download it and give its path"
        )
    return parts


def _file_name(path: str) -> str:
    """The last part of a URL's path as the name of a file: without what a file system could take for a folder."""
    name = re.sub(r"[^\w.+-]", "_", unquote(path.rpartition("/")[2]))[-LONGEST_NAME:]
    return name.lstrip(".") or "weights"


def _blocks(url: str, name: str) -> Iterator[bytes]:
    """The file, a chunk at a time. Another thread receives it, so that no server can keep this one waiting."""
    received: queue.Queue[int | bytes | Exception | None] = queue.Queue(maxsize=2)
    ended = threading.Event()
    threading.Thread(target=_receive, args=(url, received, ended), daemon=True).start()
    deadline = time.monotonic() + TOTAL_TIMEOUT

    def following() -> int | bytes | None:
        left = deadline - time.monotonic()
        try:
            if left < 0:
                raise queue.Empty
            item = received.get(timeout=min(CHUNK_TIMEOUT, left))
        except queue.Empty:
            raise TimeoutError("its server is too slow") from None
        if isinstance(item, Exception):
            raise item
        return item

    try:
        size, n = following(), 0
        for block in track(iter(following, None), f"downloading {name}, MB", -(-size // CHUNK) or None):
            n += len(block)
            if max(n, size) > MOST_BYTES:
                raise ConnectionError(f"it is larger than {MOST_BYTES // 2**30} GB")
            yield block
        if n < size:
            raise ConnectionError(f"it ended after {n} of {size} bytes")
    finally:
        ended.set()
        with suppress(queue.Empty):  # lets the other thread go on, to its end
            while True:
                received.get_nowait()


def _receive(url: str, received: queue.Queue, ended: threading.Event) -> None:
    """Puts the size that the server gives (0 for none), every chunk, and None, or else an exception."""
    try:
        opener = urllib.request.OpenerDirector()
        for handler in HANDLERS:
            opener.add_handler(handler())
        with opener.open(url, timeout=TIMEOUT) as response:
            received.put(max(0, int(response.headers.get("Content-Length") or 0)))
            while not ended.is_set() and (block := response.read(CHUNK)):
                received.put(block)
        received.put(None)
    except Exception as error:  # for the thread that waits
        received.put(error)
