"""Result directories: writable or refused in one line, files written whole or not at all, versions recorded."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole

STDOUT = "-"  # as FILE of `--json`
OWN_FILES = ("config.json", "metrics.jsonl", "summary.json", "report.html", "events.npz")  # of a results directory
PACKAGES = ("spikeplan", "torch", "numpy", "snntorch", "norse", "lava-nc", "tonic", "gymnasium", "safetensors")


def own_version() -> str:
    try:
        return version("spikeplan")
    except PackageNotFoundError:
        return "not installed (run from its folder)"


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def open_output(
    out: Path,
    *,
    command: str | None = None,
    asked: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """A writable result directory, or one line why not.

    Args:
        command: results of another command are never written over.
        asked: settings as config.json holds them; the summary of a run with others is written over with `overwrite` alone.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{out}: cannot write results there ({error}); choose another --out") from error
    for name in ("config.json", "summary.json", "metrics.jsonl"):
        if (out / name).exists() and not (out / name).is_file():
            raise UserError(f"{out / name}: is there and is no file; choose another --out")
    other = _command_of(out / "config.json")
    if command is not None and other not in (None, command):
        raise UserError(f"{out}: holds the results of `{other}`; choose another --out")
    if asked is not None and not overwrite and (out / "summary.json").exists():
        differs = _difference(out / "config.json", asked)
        if differs is not None:
            raise UserError(f"{out}: holds another run ({differs}); choose another --out, or give --overwrite")
    return out


@contextmanager
def no_empty_folder(folder: Path) -> Iterator[None]:
    """Work that fails before it wrote anything leaves no folder behind."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # it holds something
            folder.rmdir()
        raise


def _difference(config: Path, asked: Mapping[str, Any]) -> str | None:
    """The first setting of a finished run that differs from what is asked, in words. One that an older version did not keep
    is not compared."""
    kept = _config(config)
    if kept is None:
        return "its config.json is missing or damaged"
    for name, value in asked.items():
        new = json.loads(json.dumps(value))
        if name in kept and kept[name] != new:
            old = kept[name]
            if isinstance(old, dict) and isinstance(new, dict):  # the part that differs, not a whole table
                part = next(key for key in (*old, *new) if old.get(key) != new.get(key))
                name, old, new = f"{name} {part}", old.get(part), new.get(part)
            shown = "" if max(len(str(old)), len(str(new))) > 60 else f" {old}, not {new}"
            return f"{name}{shown or ' differs'}"
    return None


def check_outputs(targets: Mapping[str, str | None], *, inputs: Sequence[str | None] = ()) -> None:
    """Files to be written, by flag: refused before any work when they cannot be, or would write over an input or each other."""
    taken = {Path(os.path.realpath(name)): "an input" for name in inputs if name}
    for flag, name in targets.items():
        if name is None or (flag == "--json" and name == STDOUT):
            continue
        path = Path(
            os.path.realpath(name)
        )  # a loop of links, which resolve() answers with a RuntimeError, stays a link
        if (
            not name
            or path.is_symlink()
            or (path.exists() and not path.is_file())
            or not os.access(path.parent, os.W_OK | os.X_OK)
        ):
            raise UserError(f"{flag} {name!r}: no file that can be written; name one in a directory that exists")
        if name == STDOUT:
            raise UserError(f"{flag} -: only --json writes to the terminal; name a file")
        if path in taken:
            raise UserError(f"{flag} {name}: would write over {taken[path]}; choose another file")
        taken[path] = flag


def run_files(folder: str | Path) -> tuple[str, ...]:
    """What a run left in its results directory, as inputs of `check_outputs`: a reader may put other files beside it."""
    own, below = (Path(folder) / name for name in OWN_FILES), Path(folder).glob("*/**/*")
    return tuple(str(path) for path in (*own, *below) if not path.is_dir())


def _config(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _command_of(config: Path) -> str | None:
    found = _config(config) or {}
    return str(found["command"]) if "command" in found else None


def check_seed(seed: int) -> None:
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed {seed} must be from 0 to 2^63 - 1")


def write_json(path: Path, value: Any, *, indent: int | None = None) -> None:
    write_text(path, json.dumps(value, indent=indent, allow_nan=False))


def write_report(target: str | Path, value: Any) -> None:
    """What `--json [FILE]` asks for: on stdout for "-", else into the file, or one line why not."""
    if str(target) == STDOUT:
        print(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False))
        return
    try:
        write_json(Path(target), value, indent=1)
    except OSError as error:
        raise UserError(f"{target}: cannot write ({error}); choose a writable file") from error


def result_console(target: str | None) -> Console:
    """Where tables go: nowhere when stdout carries JSON."""
    return Console(quiet=target == STDOUT)


def write_text(path: Path, text: str) -> None:
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
