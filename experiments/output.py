"""Result directories: writable or refused in one line, files written whole or not at all, versions recorded."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spec.errors import UserError
from spec.files import write_whole

PACKAGES = ("torch", "numpy", "snntorch", "norse", "lava-nc", "tonic", "gymnasium", "safetensors")


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def open_output(out: Path) -> Path:
    """A writable result directory, or one line why not."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{out}: cannot write results there ({error}); choose another --out") from error
    return out


def write_json(path: Path, value: Any, *, indent: int | None = None) -> None:
    write_text(path, json.dumps(value, indent=indent, allow_nan=False))


def write_text(path: Path, text: str) -> None:
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
