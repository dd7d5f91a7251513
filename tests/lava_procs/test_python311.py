"""Lava imports on Python >= 3.11, in an interpreter of its own: importing it fixes the fork start method."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )


def test_import_and_restore() -> None:
    done = python(
        "import dataclasses, sys; before = dataclasses.dataclass\n"
        "from spikeplan.lava_procs.python311 import import_lava\n"
        "import_lava(); import_lava()\n"
        "assert dataclasses.dataclass is before\n"
        "from lava.magma.compiler.var_model import ByteEncoder\n"
        "from lava.proc.dense.process import Dense\n"
        "assert isinstance(hash(ByteEncoder()), int)\n"
        "assert 'torch' not in sys.modules\n"
    )
    assert done.returncode == 0, done.stderr


def test_missing_lava_names_the_remedy() -> None:
    done = python(
        "import sys; sys.modules['lava'] = None\n"
        "from spikeplan.lava_procs.python311 import import_lava\n"
        "from spikeplan.core.errors import UserError\n"
        "try: import_lava()\n"
        "except UserError as error: print(error)\n"
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "pip install --no-deps --ignore-requires-python -r requirements-nodeps.txt" in done.stdout


def test_the_parent_side_imports_neither_lava_nor_torch() -> None:
    done = python(
        "import sys, spikeplan.lava_procs, spikeplan.lava_procs.chain, spikeplan.lava_procs.worker\n"
        "assert not {'lava', 'torch'} & {name.partition('.')[0] for name in sys.modules}\n"
    )
    assert done.returncode == 0, done.stderr
