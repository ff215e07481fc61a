"""Weight files from an address: fetched once, checked, kept."""

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
TIMEOUT = 30.0  # seconds without an answer


def fetch(source: str) -> Path:
    """The local copy of 'http(s)://HOST/FILE#sha256=HEX', in pawjax's cache; a second call needs no network.

    Raises InputError for an address without its sha256, a file that is another, and where it cannot be fetched.
    """
    url, _, fragment = source.partition("#")
    wanted = fragment.removeprefix("sha256=").lower()
    if not re.fullmatch("[0-9a-f]{64}", wanted):
        raise InputError(
            f"config.init_from = '{source}': write the file's sha256 behind the address, as URL#sha256=..."
        )
    folder = cache_root() / "weights" / wanted
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
            if digest.hexdigest() != wanted:
                found = digest.hexdigest()
                raise InputError(f"{url} is not the file that was meant: its sha256 is {found}, not {wanted}")
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"{url} cannot be fetched ({reason}): fetch it elsewhere and put it at {target}, "
            "or give its place as config.init_from"
        ) from error
    return target


def _blocks(url: str, name: str) -> Iterator[bytes]:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        got = 0
        for block in track(iter(lambda: answer.read(CHUNK), b""), f"fetching {name}, MB", -(-size // CHUNK) or None):
            got += len(block)
            yield block
        if got < size:
            raise ConnectionError(f"it ended after {got} of {size} bytes")
