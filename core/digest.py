"""The digest of the code that makes a result: part of every cache key.

Whole packages are hashed, not hand-kept lists of files: a list misses what a later change brings in, and version 0.1
resumed stale int8 shards when the recorder of their calibration changed. Versions of the numeric packages and the sources
of plug-ins are part of it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from spikeplan.core.registry import plugin_digest

ROOT = Path(__file__).parents[1]  # the folder of the package `spikeplan`
NUMERIC = ("numpy", "torch", "snntorch")


def code_digest(*packages: str) -> str:
    """Of every module of these packages (`"evaluation"`, `"experiments/fusion_study"`) and of core.

    >>> key = code_digest("worldmodel", "snn")
    """
    return _digest(packages, plugin_digest())


@lru_cache(maxsize=16)
def _digest(packages: tuple[str, ...], plugins: str) -> str:
    sha = hashlib.sha256(plugins.encode())
    for name in NUMERIC:
        sha.update(f"{name} {metadata.version(name)}\n".encode())
    for package in sorted({"core", *packages}):
        folder = ROOT / package
        files = sorted(folder.rglob("*.py"))
        if not files:
            raise ValueError(f"no module in {folder}")
        for path in files:
            sha.update(str(path.relative_to(ROOT)).encode())
            sha.update(path.read_bytes())
    return sha.hexdigest()
