"""The rooms import in one direction, and what else each room must not do.

Everything is read from the syntax tree, so code under `if TYPE_CHECKING:` counts too: Protocols are structural, a room
needs no name from a room it may not import. A checker takes a source and returns complaints; each is first shown a
source that breaks its rule.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]

PACKAGES = (
    "core",
    "worldmodel",
    "snn",
    "conversion",
    "lava_procs",
    "eventdata",
    "placement",
    "energy",
    "fusion",
    "evaluation",
    "experiments",
)
MAY_IMPORT = {package: {"core"} for package in PACKAGES} | {
    "core": set(),
    "conversion": {"core", "snn"},
    "fusion": {"core", "worldmodel", "snn", "eventdata"},
    "evaluation": set(PACKAGES) - {"experiments"},
    "experiments": set(PACKAGES),
}
# Lava forks its processes, and forking after multi-threaded torch is unsafe; core/ is imported by lava_procs/.
BRINGS_TORCH = {"torch", "torchvision", "snntorch", "norse", "nirtorch", "safetensors.torch"}
# Terminals, plots and pictures belong to the command line, the report and the studies.
SHOWS = {"rich", "tyro", "matplotlib", "PIL"}
FORBIDDEN = {package: {"tests", *SHOWS} for package in PACKAGES} | {
    "core": {"tests", *SHOWS, *BRINGS_TORCH},
    "lava_procs": {"tests", *SHOWS, *BRINGS_TORCH},
    "experiments": {"tests"},
}
# Below experiments/: each imports none of the others.
STUDIES = ("main_study", "fusion_study", "training", "bench", "claims")


class Import(NamedTuple):
    name: str  # "a.b" for `import a.b`, `from a import b` and `from a.b import c`
    line: int
    at_top: bool  # outside every function body, so it runs when the module is imported


def imports(tree: ast.Module) -> list[Import]:
    """Every absolute import in a module, `importlib.import_module("...")` and `__import__("...")` included."""
    found: list[Import] = []

    def visit(node: ast.AST, at_top: bool) -> None:
        match node:
            case ast.Import(names=names):
                found.extend(Import(alias.name, node.lineno, at_top) for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                found.extend(Import(f"{module}.{alias.name}", node.lineno, at_top) for alias in names)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
                if ast.unparse(func) in {"importlib.import_module", "import_module", "__import__"}:
                    found.append(Import(name, node.lineno, at_top))
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, at_top and not inside)

    visit(tree, True)
    return found


def wrong_imports(room: str, source: str) -> list[str]:
    """Imports of a module of `room` that go against the direction."""
    others = MAY_IMPORT.keys() - MAY_IMPORT[room] - {room}
    complaints = []
    for name, line, _ in imports(ast.parse(source)):
        ours = name.split(".")[1] if name.startswith("spikeplan.") else ""
        if ours in others:
            complaints.append(f"line {line}: {room} may not import {name}")
        if any(name == bad or name.startswith(f"{bad}.") for bad in FORBIDDEN[room]):
            complaints.append(f"line {line}: {room} may not import {name}, nor anything of that package")
    return complaints


def crossing_studies(study: str, source: str) -> list[str]:
    """Imports of another study; studies are islands."""
    return [
        f"line {line}: the study {study} may not import {name}"
        for name, line, _ in imports(ast.parse(source))
        if (parts := name.split("."))[:2] == ["spikeplan", "experiments"] and parts[2] in set(STUDIES) - {study}
    ]


def import_time_work(source: str) -> list[str]:
    """Statements of a process module that would do something when Lava's compiler executes the file.

    Allowed: imports, definitions, and constants without a call. A class body may call (`InPort(...)` declares).
    """
    complaints = []

    def check(body: list[ast.stmt], in_class: bool) -> None:
        for node in body:
            match node:
                case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Pass():
                    continue
                case ast.Expr(value=ast.Constant()):  # a docstring
                    continue
                case ast.ClassDef(body=inner):
                    check(inner, True)
                    continue
                case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                    continue
                case ast.Assign(value=value) | ast.AnnAssign(value=value) if (
                    in_class or value is None or not any(isinstance(part, ast.Call) for part in ast.walk(value))
                ):
                    continue
            complaints.append(f"line {node.lineno}: runs at import: {ast.unparse(node).splitlines()[0]}")

    check(ast.parse(source).body, False)
    return complaints


def local_paths(text: str) -> list[str]:
    """Absolute paths of somebody's machine; a path inside an address (https://host/work/) is none."""
    return [
        match.group() for match in re.finditer(r"(?<![\w.~/-])/(work|root|home/\w+|Users/\w+|opt/\w+)/[\w.]*", text)
    ]


def modules(*folders: str) -> list[Path]:
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    assert paths, f"no module in {folders}: the test looks in the wrong place"
    return paths


def repository_files() -> list[Path]:
    """What git tracks or would track; a source archive has no git and is searched whole."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
        paths = [ROOT / name for name in listed if name]
    except (FileNotFoundError, subprocess.CalledProcessError):
        made = r"(^|/)(\.[^/]+|__pycache__|build|dist|runs|[^/]+\.egg-info)/"
        paths = [path for path in ROOT.rglob("*") if not re.search(made, path.relative_to(ROOT).as_posix())]
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_go_one_way(room):
    complaints = {str(path.relative_to(ROOT)): wrong_imports(room, path.read_text()) for path in modules(room)}
    assert {path: found for path, found in complaints.items() if found} == {}


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("core", "import spikeplan.worldmodel"),
        ("worldmodel", "from spikeplan.snn.lif import step"),
        ("snn", "def f():\n    import spikeplan.conversion.report as report"),
        ("conversion", "from spikeplan import energy"),
        ("placement", "from spikeplan.lava_procs import trace"),
        ("evaluation", "from spikeplan.experiments.cli import main"),
        ("evaluation", "import matplotlib.pyplot as plt"),
        ("energy", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from spikeplan.experiments import cli"),
        ("eventdata", "import importlib\nimportlib.import_module('spikeplan.worldmodel.encoder')"),
        ("lava_procs", "import torch.nn"),
        ("lava_procs", "from safetensors.torch import load_file"),
        ("lava_procs", "from safetensors import torch"),
        ("experiments", "from tests import test_imports"),
    ],
)
def test_wrong_imports_are_seen(room, source):
    assert wrong_imports(room, source)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("lava_procs", "from safetensors.numpy import load_file\nfrom spikeplan.core import ir\nfrom . import trace"),
        ("conversion", "import spikeplan.core, spikeplan.snn.lif\nfrom spikeplan.core.ir import artifact"),
        ("energy", "import spectral, torch"),
        ("experiments", "import rich, matplotlib"),
    ],
)
def test_right_imports_pass(room, source):
    assert wrong_imports(room, source) == []


@pytest.mark.parametrize("study", STUDIES)
def test_no_study_imports_another(study):
    complaints = {
        str(path.relative_to(ROOT)): crossing_studies(study, path.read_text())
        for path in modules(f"experiments/{study}")
    }
    assert {path: found for path, found in complaints.items() if found} == {}


def test_a_crossing_study_is_seen():
    source = "def f():\n    from spikeplan.experiments.bench import plan"
    assert crossing_studies("main_study", source)
    assert not crossing_studies("bench", source)


def test_lava_rooms_load_no_torch():
    """The tree sees direct imports only; this sees what the imports import, Lava's included."""
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules("core", "lava_procs")]
    program = (
        "import importlib, sys; from spikeplan.lava_procs.python311 import import_lava; import_lava()\n"
        f"for name in {names}: importlib.import_module('spikeplan.' + name.removesuffix('.__init__'))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr


@pytest.mark.parametrize("package", ["tonic", "sanafe"])
def test_gpl_packages_are_imported_by_one_module_inside_its_functions(package):
    """They are GPL-3.0: everything else works, and is distributed, without them."""
    users = {
        str(path.relative_to(ROOT)): [found.at_top for found in used]
        for path in modules(*MAY_IMPORT)
        if (used := [found for found in imports(ast.parse(path.read_text())) if found.name.split(".")[0] == package])
    }
    assert len(users) == 1, users
    assert not any(at_top for found in users.values() for at_top in found), users


def test_top_imports_are_told_from_lazy_ones():
    tree = ast.parse(
        "import a\nclass C:\n    import b\n    def f(self):\n        from c import d\ntry:\n    import e\nfinally: pass"
    )
    assert [(found.name, found.at_top) for found in imports(tree)] == [
        ("a", True),
        ("b", True),
        ("c.d", False),
        ("e", True),
    ]


@pytest.mark.parametrize("path", modules("lava_procs/processes"), ids=lambda path: path.name)
def test_processes_do_nothing_at_import(path):
    assert import_time_work(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "TABLE = make()",
        "for i in X: pass",
        "if x: y = 1",
        "class C:\n    print(1)",
        "X: int = f()",
        "X += 1",
    ],
)
def test_import_time_work_is_seen(source):
    assert import_time_work(source)


def test_declarations_are_no_work():
    constants = '"""Doc."""\nimport a\nK = -(1 << 23)\n'
    process = '@implements(proc=P)\nclass C:\n    """Doc."""\n    p: A = T(A, precision=24)\n    def f(self): g()\n'
    assert import_time_work(constants + process) == []


def test_no_file_names_a_local_path():
    named = {
        str(path.relative_to(ROOT)): local_paths(path.read_bytes().decode("latin-1")) for path in repository_files()
    }
    assert {path: found for path, found in named.items() if found} == {}


def test_local_paths_are_seen():
    folders = ["work", "root", "home/ann", "Users/ann", "opt/wheels"]  # joined here: this file is searched too
    for folder in folders:
        assert local_paths(f"open('/{folder}/main/x.py')"), folder
    assert local_paths("https://example.org/work/x  ~/work/x  a/root/b  framework/home/x") == []
