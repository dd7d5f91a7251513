"""pyproject.toml gives ranges, the requirement files one version of each; that is what is installed, and what is shipped."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINKS = sorted(path for path in (ROOT / "src" / "spikeplan").iterdir() if path.is_symlink())
ROOMS = {path.name for path in LINKS}


def pins(lines: list[str]) -> dict[str, str]:
    """{name: version}; a line that is no exact pin raises, and so does a name that comes twice."""
    found: dict[str, str] = {}
    for line in lines:
        requirement = line.split("#")[0].strip()
        if not requirement:
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][0-9A-Za-z.]*)", requirement)
        if match is None:
            raise ValueError(f"{requirement!r} is no exact pin; write name==version")
        name = re.sub(r"[-_.]+", "-", match[1]).lower()
        if name in found:
            raise ValueError(f"{name!r} is pinned twice")
        found[name] = match[2]
    return found


def ranges(lines: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(found.name): found for found in map(Requirement, lines)}


CORE = ranges(PROJECT["project"]["dependencies"])
EXTRAS = {name: ranges(lines) for name, lines in PROJECT["project"]["optional-dependencies"].items()}
REQUIREMENTS = pins((ROOT / "requirements.txt").read_text().splitlines())
NODEPS = pins((ROOT / "requirements-nodeps.txt").read_text().splitlines())


@pytest.mark.parametrize("line", ["torch>=2", "torch", "torch==2.*", "--find-links x", "torch==2.13.0+cpu"])
def test_only_exact_pins_are_read(line):
    with pytest.raises(ValueError, match="no exact pin"):
        pins([line])


def unmet(lock: dict[str, str]) -> dict[str, str]:
    """Requirements of the project that the lock leaves out or pins outside of their range."""
    stated = [entry for block in (CORE, *EXTRAS.values()) for entry in block.items()]
    return {
        name: f"{found} but {lock.get(name)}"
        for name, found in stated
        if name not in lock or not found.specifier.contains(lock[name])
    }


def test_the_lock_satisfies_every_range():
    assert unmet(REQUIREMENTS) == {}
    assert unmet(REQUIREMENTS | {"numpy": "2.4.0"}).keys() == {"numpy"}, "Lava fails there"
    assert unmet({name: v for name, v in REQUIREMENTS.items() if name != "torch"}).keys() == {"torch"}


def test_the_citation_names_the_version():
    version = PROJECT["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {version.partition('.dev')[0]} " in (ROOT / "CHANGELOG.md").read_text()


def test_every_range_has_a_lowest_version():
    """`make test-lowest` installs it."""
    for block in (CORE, *EXTRAS.values()):
        for found in block.values():
            assert [part.operator for part in found.specifier].count(">=") == 1, found


def test_lava_and_norse_come_without_their_dependencies_only():
    """Both declare what cannot be satisfied (Python < 3.11, torchvision), so pip must never resolve them."""
    assert NODEPS.keys() == {"lava-nc", "norse"}
    assert not NODEPS.keys() & (REQUIREMENTS.keys() | CORE.keys())
    assert pins(PROJECT["dependency-groups"]["nodeps"]) == NODEPS
    described = {entry["name"]: entry["version"] for entry in PROJECT["tool"]["uv"]["dependency-metadata"]}
    assert described.items() <= NODEPS.items()


def test_peers_are_pinned_and_nothing_of_ours_needs_them():
    peers = pins((ROOT / "requirements-peers.txt").read_text().splitlines())
    assert peers.keys() == {"lava-dl", "neurobench", "sinabs", "pbr", "spikingjelly", "loguru", "sanafe"}
    assert not peers.keys() & (REQUIREMENTS.keys() | NODEPS.keys() | CORE.keys())


def test_copyleft_packages_stay_out_of_the_core():
    assert not CORE.keys() & {"tonic", "norse", "lava-nc", "sanafe"}
    assert [name for name, block in EXTRAS.items() if "tonic" in block] == ["events"]


def test_the_environment_is_the_pinned_one():
    pinned = REQUIREMENTS | NODEPS
    installed = {name: metadata.version(name).split("+")[0] for name in pinned}  # a CPU build says 2.13.0+cpu
    assert installed == pinned


def test_the_command_starts_at_a_function():
    module, function = PROJECT["project"]["scripts"]["spikeplan"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_every_package_has_a_link_and_every_folder_of_it_an_init():
    """Import names are links in src/spikeplan, so a wheel holds one name."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages == ROOMS
    assert all(path.resolve() == ROOT / path.name for path in LINKS)
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_data_files_are_shipped():
    shipped = {
        path
        for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in (ROOT / "src" / package.replace(".", "/")).resolve().glob(pattern)
    }
    assert ROOT / "energy" / "devices" / "loihi2.toml" in shipped
    present = {path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()}
    sources = {path for path in present if path.parent.name != "__pycache__"}  # numba keeps its compiled loops there
    assert {path for path in sources if path.suffix != ".py"} == {p for p in shipped if p.name != "py.typed"}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """Names in the wheel, which is built from the source archive, and in that."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel, tarfile.open(next(folder.glob("*.tar.gz"))) as source:
        return wheel.namelist(), [name.partition("/")[2] for name in source.getnames()]


def test_the_wheel_puts_one_name_into_site_packages(archives):
    wheel, _ = archives
    top = {name.split("/")[0] for name in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == {"spikeplan"} and len(top) == 2
    modules = {path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert {f"spikeplan/{name}" for name in modules} <= set(wheel)
    data = {path.relative_to(ROOT).as_posix() for path in (ROOT / "worldmodel" / "checkpoints").rglob("*.safetensors")}
    data |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "energy").glob("*.toml")}
    assert data and {f"spikeplan/{name}" for name in data} | {"spikeplan/py.typed"} <= set(wheel)
    assert not any("__pycache__" in name or name.startswith("spikeplan/tests") for name in wheel)


def test_the_source_archive_has_tests_and_docs(archives):
    _, source = archives
    named = {path.relative_to(ROOT).as_posix() for folder in ("tests", "docs") for path in (ROOT / folder).rglob("*.*")}
    assert {name for name in named if "__pycache__" not in name} <= set(source)
    assert {"Makefile", "requirements.txt", "README.md", "LICENSE"} <= set(source)


def test_one_thread_a_process():
    """The suite gives every core one process; conftest.py sets the limits before numpy and torch read them."""
    import torch
    from threadpoolctl import threadpool_info

    assert torch.get_num_threads() == 1
    assert {pool["num_threads"] for pool in threadpool_info()} == {1}
