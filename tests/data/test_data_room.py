"""The data room as a whole: PyTorch's place for it, lazy imports, notes of errors on screen."""

import subprocess
import sys

import backlit.utils.data
from backlit import data

HEAVY = ("PIL", "rich", "multiprocessing", "tarfile", "urllib.request", "http.client", "gzip")


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_pytorchs_names_lead_here():
    files = {"dataset", "dataloader", "sampler", "distributed"}
    names = {name for name in vars(backlit.utils.data) if name[0].isalpha()} - files
    assert len(names) == 18
    assert all(getattr(backlit.utils.data, name) is getattr(data, name) for name in names)


def test_heavy_modules_are_imported_when_needed():
    code = f"import sys, numpy; before = set(sys.modules); import backlit.data; print([m for m in {HEAVY} if m in sys.modules and m not in before])"  # noqa: E501
    assert run(code).stdout.strip() == "[]"


def test_notes_of_an_error_reach_the_screen():
    code = (
        "import backlit as bl\n"
        "class Broken(bl.data.Dataset):\n"
        "    def __len__(self): return 3\n"
        "    def __getitem__(self, i): raise bl.errors.DataError('bad row')\n"
        "list(bl.data.DataLoader(Broken()))\n"
    )
    shown = run(code).stderr
    assert "DataError: bad row\nwhile reading sample 0 of Broken" in shown
