"""docs/lava.md: its Python blocks run, one after the other, and its table names every port and Var there is."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "lava.md").read_text()
DECLARED = ("InPort", "OutPort", "RefPort", "Var")


@pytest.mark.slow
def test_the_python_blocks_run_in_order(tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.S))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lif, sums, network = done.stdout.splitlines()
    assert 10 < int(lif.removeprefix("LIF spikes: ")) < 140
    assert sums == "messages sum up to [44.0, 44.0]"  # 43.75, to within a threshold of 1
    assert network.endswith("{'3-dense': (50, 5)} True")


def declared() -> dict[str, set[str]]:
    """Process -> its ports and Vars, of every class with an `__init__` that declares some; families inherit theirs."""
    found: dict[str, set[str]] = {}
    bases: dict[str, str] = {}
    for path in [*(ROOT / "lava_procs" / "processes").glob("*.py"), ROOT / "lava_procs" / "neuron_model.py"]:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                names = {
                    call.targets[0].attr
                    for call in ast.walk(node)
                    if isinstance(call, ast.Assign)
                    and isinstance(call.targets[0], ast.Attribute)
                    and isinstance(call.value, ast.Call)
                    and ast.unparse(call.value.func) in DECLARED
                }
                base = ast.unparse(node.bases[0]) if node.bases else ""
                if names:
                    found[node.name] = names
                elif base == "NeuronGroup":
                    bases[node.name] = base
    found |= {name: found[base] for name, base in bases.items()}
    del found["NeuronGroup"]
    return found


def tabled() -> dict[str, set[str]]:
    rows: dict[str, set[str]] = {}
    names: list[str] = []
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 6 and cells[0] != "process" and "---" not in cells[0]:
            names = re.findall(r"`(\w+)`", cells[0]) or names
            for name in names:
                rows.setdefault(name, set()).update(re.findall(r"`(\w+)`", cells[2]))
    return rows


def test_the_table_names_every_port_and_var() -> None:
    assert tabled() == declared()
    assert len(declared()) >= 17
