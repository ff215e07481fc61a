"""Weight files from a URL: downloaded once, verified, cached."""

import hashlib
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

from pawjax.errors import InputError
from pawjax.files import replacing
from pawjax.machine import cache_root
from pawjax.progress import track

CHUNK = 2**20  # bytes
TIMEOUT = 30.0  # seconds without a response


def fetch(source: str) -> Path:
    """The local copy of 'http(s)://HOST/FILE#sha256=HEX', in pawjax's cache; a second call needs no network.

    Raises InputError for a URL without a sha256, a file with another sha256, or a failed download.
    """
    url, _, fragment = source.partition("#")
    expected = fragment.removeprefix("sha256=").lower()
    if not re.fullmatch("[0-9a-f]{64}", expected):
        raise InputError(f"config.init_from = '{source}': append the file's sha256 to the URL, as URL#sha256=...")
    folder = cache_root() / "weights" / expected
    target = folder / (Path(urllib.request.url2pathname(url.partition("?")[0])).name or "weights")
    if target.is_file():
        return target
    digest = hashlib.sha256()
    try:
        with replacing(target) as temporary:
            with temporary.open("wb") as file:
                for block in _blocks(url, target.name):
                    digest.update(block)
                    file.write(block)
            if digest.hexdigest() != expected:
                raise InputError(f"{url} is not the expected file: its sha256 is {digest.hexdigest()}, not {expected}")
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"{url} cannot be downloaded ({reason}): download it elsewhere and put it at "
            f"{target}, or set config.init_from to its path"
        ) from error
    return target


def _blocks(url: str, name: str) -> Iterator[bytes]:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        size = int(response.headers.get("Content-Length") or 0)
        received = 0
        for block in track(
            iter(lambda: response.read(CHUNK), b""), f"downloading {name}, MB", -(-size // CHUNK) or None
        ):
            received += len(block)
            yield block
        if received < size:
            raise ConnectionError(f"it ended after {received} of {size} bytes")
