"""Limits on size: lines a file, files a folder, and one package's part of the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = tuple(
    sorted(path.name for path in (ROOT / "src/spikeplan").iterdir() if path.is_dir() and path.name[0] != "_")
)
FOLDERS = tuple(name for name in (*PACKAGES, "docs", "examples", "src", "tests") if (ROOT / name).is_dir())
MAX_LINES = 300
MAX_FILES = 25  # beside each other in one folder
MAX_SHARE = 0.20  # of the source lines; experiments/ holds all studies and has none


def long_files(lines: Mapping[str, int]) -> list[str]:
    """Python files above the limit; `lines` maps a path to its number of lines."""
    return [f"{path}: {n} lines, at most {MAX_LINES}" for path, n in lines.items() if n > MAX_LINES]


def full_folders(paths: Iterable[str]) -> list[str]:
    """Folders that hold too many files beside each other; their subfolders are folders of their own."""
    counts = Counter(str(PurePosixPath(path).parent) for path in paths)
    return [f"{folder}: {n} files, at most {MAX_FILES}" for folder, n in counts.items() if n > MAX_FILES]


def heavy_packages(lines: Mapping[str, int]) -> list[str]:
    """Packages above their share of the source lines."""
    packages: Counter[str] = Counter()
    for path, n in lines.items():
        packages[path.split("/")[0]] += n
    return [
        f"{package}: {n / packages.total():.0%} of the source, at most {MAX_SHARE:.0%}"
        for package, n in packages.items()
        if package != "experiments" and n > MAX_SHARE * packages.total()
    ]


def files_of(*folders: str) -> list[str]:
    """Paths below the folders, without what tools leave there."""
    paths = [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not any(part == "__pycache__" or part.endswith(".egg-info") for part in path.parts)
    ]
    assert paths, f"no file in {folders}: the test looks in the wrong place"
    return paths


def lines_of(*folders: str) -> dict[str, int]:
    """Path of each Python file below the folders -> its number of lines."""
    return {path: len((ROOT / path).read_text().splitlines()) for path in files_of(*folders) if path.endswith(".py")}


def test_no_python_file_is_long() -> None:
    assert long_files(lines_of(*FOLDERS)) == []


def test_no_folder_is_full() -> None:
    assert full_folders(files_of(*FOLDERS)) == []


def test_no_package_outweighs_the_others() -> None:
    assert heavy_packages(lines_of(*PACKAGES)) == []


def test_a_long_file_is_seen() -> None:
    assert long_files({"core/a.py": 300, "core/b.py": 301}) == ["core/b.py: 301 lines, at most 300"]


def test_a_full_folder_is_seen() -> None:
    paths = [f"energy/{i}.py" for i in range(25)] + [f"energy/models/{i}.py" for i in range(25)]
    assert full_folders(paths) == []
    assert full_folders([*paths, "energy/one_more.md"]) == ["energy: 26 files, at most 25"]


def test_a_heavy_package_is_seen() -> None:
    lines = {"experiments/cli/a.py": 600, "core/a.py": 200, "snn/a.py": 100, "snn/b.py": 100}
    assert heavy_packages(lines) == []
    assert heavy_packages({**lines, "snn/c.py": 100}) == ["snn: 27% of the source, at most 20%"]
