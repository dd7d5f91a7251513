"""Safetensors files with a JSON header under one key: read once, refused in the same words everywhere."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from spikeplan.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """What a file is called, and what to do about one that cannot be used.

    Args:
        key: of the header in the file's metadata.
        name: what the file is, for "no such NAME".
        form: what a foreign safetensors file is not.
        make: how to make one ("make one with `spikeplan convert`").
        again: the remedy for a damaged one ("convert it again").
        framework: what tensors are read as: "numpy" or "pt".
    """

    key: str
    name: str
    form: str
    make: str
    again: str
    framework: str = "pt"

    def read(self, path: str | os.PathLike[str]) -> tuple[Any, dict[str, Any]]:
        """The header and the tensors. Raises UserError, in one line, for whatever is no such file.

        >>> header, tensors = ARTIFACT.read("net.safetensors")
        """
        source = Path(path)
        try:
            there = source.is_file()
        except OSError as error:
            raise UserError(f"{str(source)[:80]}: not a path ({error.strerror})") from error
        if not there:
            raise UserError(f"{source}: no such {self.name}; {self.make}")
        try:
            with safe_open(str(source), framework=self.framework) as handle:
                header = (handle.metadata() or {}).get(self.key)
                tensors = {name: handle.get_tensor(name) for name in handle.keys()}
        except (SafetensorError, OSError, ValueError, TypeError) as error:
            raise UserError(f"{source}: truncated or not a safetensors file ({error}); {self.again}") from error
        if header is None:
            raise UserError(f"{source}: a safetensors file but no {self.form}; {self.make}")
        try:
            return json.loads(header), tensors
        except (ValueError, RecursionError) as error:
            raise UserError(f"{source}: damaged {self.form} header ({error!r}); {self.again}") from error

    def header(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """The header alone; {} where the file is missing, damaged or foreign. Tensors are not read."""
        source = Path(path)
        if not source.is_file():
            return {}
        try:
            with safe_open(str(source), framework=self.framework) as handle:
                found = json.loads((handle.metadata() or {}).get(self.key, "{}"))
        except (SafetensorError, OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def metadata(self, header: dict[str, Any]) -> dict[str, str]:
        """What `save_file` takes as metadata."""
        return {self.key: json.dumps(header)}
