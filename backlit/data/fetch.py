"""Fetching a data file: download, resume, check its SHA-256, and only then give it its name.

Owns the network and the cache folder. A file is never handed out before its checksum agrees, and
a half-finished download keeps the name `*.part`. Knows nothing of what is in the files.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from backlit.errors import ArgumentError, DataError

CHUNK = 1 << 18
ATTEMPTS = 4
TIMEOUT = 30.0  # seconds without a byte
Advance = Callable[[int, int | None], Any]  # bytes so far, bytes in all


def is_url(text: object) -> bool:
    """Whether this is a URL rather than a path."""
    return isinstance(text, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def fetch(
    url: str,
    sha256: str,
    folder: str | os.PathLike[str] | None = None,
    name: str | None = None,
    progress: bool = True,
) -> Path:
    """Download a file once and return its path; an interrupted download is resumed.

    Takes http, https and file URLs. `folder` defaults to the flag `data`, else to the user's cache
    folder. Raises DataError where the server cannot give the file or its checksum differs.
    """
    address = urlsplit(url)
    if address.scheme not in ("http", "https", "file"):
        raise ArgumentError(f"fetch: {url}: takes http, https and file URLs")
    expected = _checksum_text(sha256, url)
    name = name or unquote(address.path).rsplit("/", 1)[-1]
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise ArgumentError(f"fetch: {url}: no file name in it", hint="pass name=")
    target = Path(folder or cache_folder()) / name
    if target.is_file() and file_sha256(target) == expected:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{name}.{expected[:12]}.part")
    with _progress_bar(name, progress) as advance:
        _download(url, part, advance)
    found = file_sha256(part)
    if found != expected:
        part.unlink()
        raise DataError(
            f"{url}: SHA-256 is {found}, expected {expected}",
            hint="the file at this address is damaged or another one; nothing was kept",
        )
    os.replace(part, target)
    return target


def cache_folder() -> Path:
    """Where downloads are kept: the flag `data`, else the user's cache folder."""
    from backlit.config import flags

    return Path(flags.data) if flags.data else Path.home() / ".cache" / "backlit" / "data"


def file_sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum_text(sha256: str, url: str) -> str:
    text = sha256.lower() if isinstance(sha256, str) else ""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ArgumentError(f"fetch: {url}: sha256 must be 64 hexadecimal digits, got {sha256!r}")
    return text


def _download(url: str, part: Path, advance: Advance) -> None:
    """Bring `part` to its full length, going on where a connection broke."""
    import http.client
    import urllib.error

    reason = ""
    for _ in range(ATTEMPTS):
        try:
            if _go_on(url, part, advance):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code == 416 and part.exists():
                part.unlink()  # longer than the file at the server: begin anew
                continue
            if error.code < 500:
                raise DataError(f"{url}: the server answers {error.code} {error.reason}") from error
            reason = f"the server answers {error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error))
        if url.startswith("file:"):
            break
    raise DataError(
        f"{url}: download failed: {reason}",
        hint=f"what has arrived is kept in {part}; calling again goes on from there"
        if part.exists()
        else "nothing has arrived; a folder with the files needs no network",
    )


def _go_on(url: str, part: Path, advance: Advance) -> bool:
    """One connection's worth; True where the file is then as long as the server says."""
    import urllib.request

    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "backlit", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        resumed = getattr(answer, "status", None) == 206 and _starts_at(answer, have)
        have = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        with part.open("ab" if resumed else "wb") as file:
            advance(have, total)
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                advance(have, total)
    return total is None or have == total


def _starts_at(answer: Any, position: int) -> bool:
    return str(answer.headers.get("Content-Range", "")).startswith(f"bytes {position}-")


@contextmanager
def _progress_bar(name: str, wanted: bool) -> Iterator[Advance]:
    if not wanted:
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
