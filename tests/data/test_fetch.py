"""fetch: downloads that resume, checksums that are checked, nothing half-done handed out."""

import hashlib
import http.server
import threading

import pytest

import backlit as bl
from backlit.data.fetch import cache_folder, fetch, file_sha256, is_url
from backlit.errors import DataError

CONTENT = bytes(range(256)) * 4096
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; the server's `plan` says how each request goes wrong."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        first = self._first_byte() if server.ranges else 0
        server.asked.append(self.headers.get("Range"))
        fault = server.plan.pop(0) if server.plan else None
        if isinstance(fault, int) and fault >= 400:
            self.send_error(fault)
            return
        if first >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - first))
        self.end_headers()
        body = CONTENT[first:]
        if fault == "cut":
            body = body[: len(body) // 2]
        if fault == "garble":
            body = bytes(len(body))
        self.wfile.write(body)
        self.close_connection = True

    def _first_byte(self):
        wanted = self.headers.get("Range", "bytes=0-")
        return int(wanted.removeprefix("bytes=").rstrip("-"))

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.plan, server.asked, server.ranges = [], [], True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_port}/some%20data.bin?version=2"
        yield server
        server.shutdown()
        thread.join()


def left_over(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once(server, tmp_path):
    path = fetch(server.url, CHECKSUM, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "some data.bin"
    assert path.read_bytes() == CONTENT and left_over(path.parent) == ["some data.bin"]
    assert fetch(server.url, CHECKSUM.upper(), path.parent, progress=False) == path
    assert len(server.asked) == 1


def test_a_damaged_copy_is_fetched_again(server, tmp_path):
    (tmp_path / "mine").write_bytes(b"damaged")
    assert fetch(server.url, CHECKSUM, tmp_path, name="mine").read_bytes() == CONTENT


def test_a_broken_connection_is_resumed(server, tmp_path):
    server.plan = ["cut", 503, "cut"]
    assert fetch(server.url, CHECKSUM, tmp_path).read_bytes() == CONTENT
    half, quarter = len(CONTENT) // 2, len(CONTENT) * 3 // 4
    assert server.asked == [None, f"bytes={half}-", f"bytes={half}-", f"bytes={quarter}-"]


def test_what_arrived_is_kept_for_the_next_call(server, tmp_path):
    server.plan = ["cut", 503, 503, 503]
    with pytest.raises(DataError, match="download failed: the server answers 503") as caught:
        fetch(server.url, CHECKSUM, tmp_path)
    (part,) = left_over(tmp_path)
    assert part.endswith(".part") and part in str(caught.value)
    assert fetch(server.url, CHECKSUM, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={len(CONTENT) // 2}-"
    assert left_over(tmp_path) == ["some data.bin"]


def test_a_server_without_ranges_begins_anew(server, tmp_path):
    server.ranges, server.plan = False, ["cut"]
    assert fetch(server.url, CHECKSUM, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_too_long_begins_anew(server, tmp_path):
    (tmp_path / f"some data.bin.{CHECKSUM[:12]}.part").write_bytes(CONTENT + b"more")
    assert fetch(server.url, CHECKSUM, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("before", [b"", b"damaged"])
def test_a_wrong_checksum_leaves_nothing(server, tmp_path, before):
    server.plan = ["garble"]
    if before:
        (tmp_path / "x").write_bytes(before)
    with pytest.raises(DataError, match=f"expected {CHECKSUM}"):
        fetch(server.url, CHECKSUM, tmp_path, name="x")
    assert left_over(tmp_path) == (["x"] if before else [])
    assert fetch(server.url, CHECKSUM, tmp_path, name="x").read_bytes() == CONTENT


def test_what_the_server_does_not_have(server, tmp_path):
    server.plan = [404]
    with pytest.raises(DataError, match="answers 404"):
        fetch(server.url, CHECKSUM, tmp_path)
    assert len(server.asked) == 1 and left_over(tmp_path) == []


def test_nobody_listens(tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    with pytest.raises(DataError, match=r"download failed: .*refused"):
        fetch(f"http://127.0.0.1:{port}/a", CHECKSUM, tmp_path)


def test_file_urls(tmp_path):
    (tmp_path / "source").write_bytes(CONTENT)
    url = (tmp_path / "source").as_uri()
    assert fetch(url, CHECKSUM, tmp_path / "cache").read_bytes() == CONTENT
    with pytest.raises(DataError, match="No such file"):
        fetch(url + "x", CHECKSUM, tmp_path / "cache")


@pytest.mark.parametrize(
    ("url", "checksum", "words"),
    [
        ("ftp://host/a", CHECKSUM, "http, https and file"),
        ("/plain/path", CHECKSUM, "http, https and file"),
        ("http://host/", CHECKSUM, "no file name"),
        ("http://host/..", CHECKSUM, "no file name"),
        ("http://host/a%2F..%2F..%2Fb%5C..", CHECKSUM, "no file name"),
        ("http://host/a", "abc", "64 hexadecimal digits, got 'abc'"),
        ("http://host/a", None, "64 hexadecimal digits"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path, url, checksum, words):
    with pytest.raises(ValueError, match=words):
        fetch(url, checksum, tmp_path)
    assert left_over(tmp_path) == []


def test_progress_is_shown_on_a_terminal(server, tmp_path, monkeypatch, capsys):
    import rich.console

    monkeypatch.setattr(rich.console.Console, "is_terminal", True)
    fetch(server.url, CHECKSUM, tmp_path)
    assert "some data.bin" in capsys.readouterr().err


def test_the_cache_folder_follows_the_flag(monkeypatch, tmp_path):
    monkeypatch.setattr(bl.config.flags, "data", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setattr(bl.config.flags, "data", "")
    assert cache_folder().parts[-3:] == (".cache", "backlit", "data")


def test_helpers(tmp_path):
    assert is_url("https://a/b") and is_url("file:///a") and not is_url("C:\\a")
    assert not is_url("a/b") and not is_url(tmp_path)
    (tmp_path / "a").write_bytes(CONTENT)
    assert file_sha256(tmp_path / "a") == CHECKSUM
