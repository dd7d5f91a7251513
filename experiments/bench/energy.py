"""Rows of `spikeplan bench energy`: counts, MACs and prices beside what others count and publish, and seconds of the commands."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from spikeplan.experiments.bench.fused import fused_rows
from spikeplan.experiments.bench.peers.agreement import agreement
from spikeplan.experiments.bench.prices import price_rows
from spikeplan.experiments.bench.published_macs import published_rows
from spikeplan.experiments.bench.regimes import regime_rows
from spikeplan.experiments.bench.reproductions import reproduction_rows
from spikeplan.experiments.bench.rows import BenchRow, quotient
from spikeplan.experiments.bench.systems_review import systems_rows

STRANGER = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 256, 512)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Linear(512, 64)), torch.rand(1, 3, 64, 64)
"""
LOOP = ("--rate", "1,10,50", "--candidates", "64", "--iterations", "4", "--horizon", "12")
MOST_S = {"compare_seconds": 5.0, "report_seconds": 20.0}
MOST_LINES = 60  # of `energy report`: a screen
DEMO = Path("results/demo")
SANAFE_WITHIN = 0.01


def bench_energy(console: Console) -> list[BenchRow]:
    """Every comparison whose tool is there; a row that says so for each whose is not."""
    rows = counter_rows(console)
    rows += published_rows()
    rows += price_rows()
    rows += systems_rows()
    rows += fused_rows()
    rows += regime_rows()
    rows += reproduction_rows()
    rows.append(compare_seconds())
    rows += report_rows(DEMO)
    return rows


def counter_rows(console: Console) -> list[BenchRow]:
    """Ours beside other counters; `ours` is what is left after the explained difference."""
    rows: list[BenchRow] = []
    for found in agreement():
        known = found["ours"] is not None
        ours = found["ours"] - found["explained"] if known else None
        rows.append(
            BenchRow(
                name=found["name"],
                ours=ours,
                other=found["other"],
                ratio=quotient(ours, found["other"]),
                unit=found["unit"] if known else found["note"],
                goal="within 1 %" if found["unit"] in ("J", "s") else "equal",
                holds=found["holds"],
            )
        )
        console.print(f"{found['name']}: {found['note']}", markup=False)
    counters = [row for row in rows if row.goal == "equal"]
    return [_different("counters_different", counters), *_sanafe(rows), *rows]


def _sanafe(rows: Sequence[BenchRow]) -> list[BenchRow]:
    """The largest difference of Joules and seconds; nothing where SANA-FE is missing."""
    found = [abs(row.ratio - 1) for row in rows if row.goal == "within 1 %" and row.ratio is not None]
    if not found:
        return []
    worst = max(found)
    unit = f"largest relative difference of {len(found)} sums on Loihi 1, its own barrier"
    return [BenchRow(name="sanafe", ours=worst, unit=unit, goal="<= 0.01", holds=worst <= SANAFE_WITHIN)]


def _different(name: str, rows: Sequence[BenchRow]) -> BenchRow:
    """How many do not hold; not known where a tool is missing."""
    missing = [row.name for row in rows if row.holds is None]
    different = sum(row.holds is False for row in rows)
    unit = f"of {len(rows) - len(missing)} counts" + (f"; not installed: {', '.join(missing)}" if missing else "")
    return BenchRow(
        name=name,
        ours=different,
        unit=unit,
        goal="0",
        holds=None if missing and not different else different == 0,
    )


def compare_seconds() -> BenchRow:
    """A stranger's network through `energy compare` in a process of its own, less the import."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stranger.py"
        path.write_text(STRANGER)
        command = "from spikeplan.experiments.cli.main import main; main()"
        whole = _seconds([sys.executable, "-c", command, "energy", "compare", str(path), *LOOP])
        imported = _seconds(
            [sys.executable, "-c", f"import torch, spikeplan.evaluation.profiles; {command}", "--version"]
        )
    name = "compare_seconds"
    took = max(0.0, whole - imported)
    return BenchRow(
        name=name,
        ours=took,
        unit=f"s after {imported:.1f} s of import",
        goal=f"<= {MOST_S[name]:g}",
        holds=took <= MOST_S[name],
    )


def report_rows(folder: Path) -> list[BenchRow]:
    """Seconds and lines of `energy report` on the demo's results; not measured where there are none."""
    seconds, lines = "report_seconds", "report_lines"
    unit, took, said = f"{folder}: no results; run `spikeplan demo` first", None, None
    if (folder / "metrics.jsonl").exists():
        command = "from spikeplan.experiments.cli.main import main; main()"
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", command, "energy", "report", str(folder)],
            check=True,
            capture_output=True,
            text=True,
            timeout=600,
        )
        took, said = time.perf_counter() - began, len(done.stdout.splitlines())
        unit = f"of {folder}, import included"
    return [
        BenchRow(
            name=name,
            ours=value,
            unit=f"{what} {unit}" if value is not None else unit,
            goal=f"<= {most:g}",
            holds=None if value is None else value <= most,
        )
        for name, value, what, most in (
            (seconds, took, "s", MOST_S[seconds]),
            (lines, said, "lines", MOST_LINES),
        )
    ]


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return time.perf_counter() - began
