"""The house rules that can be read off the imports."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import backlit

ROOT = Path(backlit.__file__).parent

# In the order a tensor travels; a room imports only from rooms above it, or from itself.
ROOMS = (
    "errors", "config", "files", "figures", "dtypes", "devices", "dlpack", "state", "program",
    "random",
    "returns", "printing", "spelling", "ops", "tensor", "autograd", "backends", "creation",
    "outputs", "api", "tree", "control", "amp", "compiler", "func", "linalg", "special", "cuda",
    "accelerator", "xpu", "mps", "legacy", "version", "serialization", "absent", "_C",
    "distributed", "multiprocessing", "hub", "fx", "nn", "jit", "optim", "distributions", "data",
    "expressions", "check", "views", "errata", "models", "utils", "onnx", "train", "estimators",
    "cli",
)  # fmt: skip
# The same within backends/cpu, from the text of a kernel to the operators that run by it.
KERNEL_ROOMS = (
    "native", "plans", "lanes", "philox", "loops", "indexing", "matmul", "recurrent", "attention",
    "channels", "norm", "conv", "pool",
)  # fmt: skip
READERS = ("check", "models", "onnx", "train", "cli", "views", "studio", "estimators",
           "vision")  # fmt: skip
CORE = ("program", "ops", "tensor", "autograd", "backends", "creation", "api", "nn", "optim")
# What a loader and its own worker processes tell each other; nothing of it comes from a file.
WORKER_FILES = ("parcels.py", "worker_process.py", "workers.py")
HEAVY = ("llvmlite", "PIL", "safetensors", "rich", "typer", "matplotlib", "scipy", "ml_dtypes",
         "torch", "pickle", "sklearn", "onnx", "onnxruntime", "optuna", "tensorboard")  # fmt: skip


def room_of(path: Path) -> str:
    if path == ROOT / "autograd" / "functional.py":
        return "func"  # PyTorch's address for what is built on func
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports(path: Path, everywhere: bool) -> set[str]:
    """Dotted names that a file imports at its top, or anywhere in it."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if everywhere else iter(_top_level(tree))
    package = ".".join(("backlit", *path.relative_to(ROOT).parts[:-1]))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*up, *([base] if base else [])])
            found.update(f"{base}.{a.name}" for a in node.names)
    return found


def _top_level(tree: ast.Module) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.Try):
            found.extend(node.body)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        else:
            found.append(node)
    return found


FILES = sorted(p for p in ROOT.rglob("*.py") if p.name != "__init__.py" or p.parent != ROOT)
IDS = [str(p.relative_to(ROOT)) for p in FILES]


def rooms_read(path: Path, everywhere: bool = False) -> set[str]:
    return {
        name.split(".")[1]
        for name in imports(path, everywhere)
        if name.startswith("backlit.") and name.split(".")[1] in ROOMS
    }


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_imports_point_up(path: Path) -> None:
    room = room_of(path)
    if room in ("__main__",):
        return
    assert room in ROOMS, f"{room} has no place in the house: add it to ROOMS and the design notes"
    below = {r for r in rooms_read(path) if ROOMS.index(r) > ROOMS.index(room)}
    assert not below, f"{path.relative_to(ROOT)} imports {below}, which stand below {room}"


def kernel_rooms_read(path: Path) -> set[str]:
    house = "backlit.backends.cpu."
    return {n.split(".")[3] for n in imports(path, True) if n.startswith(house)} & set(KERNEL_ROOMS)


@pytest.mark.parametrize("path", [p for p in FILES if ROOT / "backends" / "cpu" in p.parents])
def test_rooms_of_kernels_import_only_from_above(path: Path) -> None:
    room = path.relative_to(ROOT / "backends" / "cpu").parts[0].removesuffix(".py")
    if room == "__init__":
        return
    assert room in KERNEL_ROOMS, f"{room} has no place: add it to KERNEL_ROOMS and the design notes"
    place = KERNEL_ROOMS.index(room)
    below = {r for r in kernel_rooms_read(path) if KERNEL_ROOMS.index(r) > place}
    assert not below, f"{path.relative_to(ROOT)} imports {below}, which stand below {room}"


def test_every_lowering_of_the_table_is_there() -> None:
    from backlit.backends import eager
    from backlit.backends.cpu.plans import lower

    entries = {*lower.LOWERINGS.values(), *lower.FUSED_HEADS.values(), lower.COPY}
    for room, function in (*entries, lower.ELEMENTWISE, *eager.KERNELS.values()):
        assert callable(getattr(import_module(f"backlit.backends.cpu.{room}"), function))


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) in CORE])
def test_the_core_never_imports_readers(path: Path) -> None:
    aliases = path.name == "__init__.py"  # PyTorch's addresses, resolved when asked for
    assert not rooms_read(path, everywhere=not aliases) & set(READERS)


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) in ("autograd", "program")])
def test_autograd_and_program_know_no_operator_by_name(path: Path) -> None:
    families = {p.stem for p in (ROOT / "ops").glob("*.py")} - {"op", "formula", "__init__"}
    named = {n for n in imports(path, True) if n.startswith("backlit.ops.")}
    assert not {n for n in named if n.split(".")[2] in families}
    assert not re.search(r'REGISTRY\["', path.read_text())


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) == "backends"])
def test_backends_know_no_tensor(path: Path) -> None:
    assert "tensor" not in rooms_read(path, everywhere=True)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    heavy = {n.split(".")[0] for n in imports(path, False)} & set(HEAVY)
    if path.name == "cli.py":
        heavy -= {"typer"}
    if path.parent.name == "data":
        heavy -= {"pickle"}
    if room_of(path) == "estimators":  # loaded by nobody but those who ask for it
        heavy -= {"sklearn"}
    assert not heavy, f"{path.relative_to(ROOT)} imports {heavy} at its top"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_only_config_reads_the_environment(path: Path) -> None:
    if path.name != "config.py":
        assert not re.search(r"os\.(environ|getenv)", path.read_text())


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_nothing_loaded_can_run_code(path: Path) -> None:
    called = {ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text()))
              if isinstance(n, ast.Call)}  # fmt: skip
    if path == ROOT / "ops" / "op.py":
        called -= {"exec"}  # writes a public function from our own signature, as dataclasses do
    if path == ROOT / "views" / "source" / "folding.py":
        called -= {"eval", "compile"}  # constants within the source of our own operators
    assert not called & {"pickle.load", "eval", "exec", "marshal.loads", "compile"}
    if path.name not in WORKER_FILES:
        assert not called & {"pickle.loads", "pickle.Unpickler"}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_module_says_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"
