"""What the README shows is what runs: its Python blocks, one after the other, in an empty directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.readme import BEGIN, END, between, tables

ROOT = Path(__file__).parent.parent
CLIP = ROOT.parent / "shared" / "recordings" / "davis.aedat4"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.mark.slow
def test_the_python_blocks_run_in_order(tmp_path: Path) -> None:
    shown = blocks()
    assert [block.splitlines()[0].split(":")[0] for block in shown] == [
        "# worldmodel", "# conversion and snn", "# lava_procs", "# energy", "# eventdata",
    ]  # fmt: skip
    if not CLIP.exists():
        shown = shown[:-1]
    script = "\n".join(shown).replace('"clip.aedat4"', repr(str(CLIP)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert float(lines[0]) > 0.5, "dense planning on 20 episodes"
    assert "0" in lines, "values that differ in the Lava replay"
    if not CLIP.exists():
        pytest.skip("the block on recordings needs shared/recordings/davis.aedat4")


def test_the_tables_are_replaced_and_nothing_else() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between(text, BEGIN, "new", END) == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    summary = {"episodes": 3, "seeds": 1, "tasks": {}}
    assert tables(summary).startswith("3 paired episodes a task and arm, 1 planner seed(s)")
