"""What the words of `spikeplan energy ...` do: check the outputs, load the catalogue, work, write."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from spikeplan.core.counts.exchange import dump_rows
from spikeplan.core.errors import UserError
from spikeplan.core.format import several
from spikeplan.energy.measured import read_measured
from spikeplan.energy.measured_prices import with_measured
from spikeplan.energy.systems import load_systems
from spikeplan.evaluation.pricing.report import drawable, energy_report
from spikeplan.evaluation.pricing.runs import PricedRun, full_dense, read_run
from spikeplan.evaluation.pricing.systems import RATES_HZ, report_of
from spikeplan.experiments.cli.energy_devices import catalogue_of
from spikeplan.experiments.report import style
from spikeplan.experiments.report.figures.energy_ratio import ratio_figure
from spikeplan.experiments.report.terminal.energy import print_report
from spikeplan.experiments.report.terminal.energy_short import print_short
from spikeplan.experiments.runner.output import (
    check_outputs,
    check_seed,
    open_output,
    run_files,
    write_json,
    write_report,
    write_text,
)
from spikeplan.experiments.runner.progress import counted

MOST_DRAWS = 100_000


def report_command(
    run_dir: str,
    *,
    json: str | None,
    svg: str | None,
    counts_files: str | None,
    devices: str | None,
    measured: str | None,
    draws: int,
    seed: int,
    full: bool = False,
    console: Console,
) -> None:
    """A run without a full dense plan has no equal success, and no systems to compare: it is told in full."""
    check_outputs({"--json": json, "--svg": svg}, inputs=(devices, measured, *run_files(run_dir)))
    check_seed(seed)
    if not 1 <= draws <= MOST_DRAWS:
        raise UserError(f"--draws {draws} must be from 1 to {MOST_DRAWS}")
    figures = () if measured is None else read_measured(measured)
    catalogue = with_measured(catalogue_of(devices), figures)
    run = read_run(Path(run_dir))
    folder = None if counts_files is None else open_output(Path(counts_files))
    with counted(
        f"pricing every pair of methods on every device, {several(draws, 'draw')} of the figures"
    ) as on_progress:
        found = energy_report(
            Path(run_dir),
            catalogue,
            draws=draws,
            rng=np.random.default_rng(seed),
            on_progress=on_progress,
            measured=figures,
        )
    if full or not all(full_dense(methods) for methods in run.methods.values()):
        print_report(found, console)
    else:
        systems = report_of(run.methods, catalogue, load_systems(), RATES_HZ)
        print_short(found, systems, console)
        found["systems"] = systems
    if folder is not None:
        for task, methods in run.methods.items():
            for number, method in enumerate(methods):
                write_counts_files(folder, task, number, method)
    if json is not None:
        write_report(json, found)
    if svg is not None and not any(drawable(methods) for methods in run.methods.values()):
        print(f"{svg}: not drawn, the run has no sigma-delta method beside a dense reading of it", file=sys.stderr)
    elif svg is not None:
        write_text(Path(svg), style.svg(ratio_figure, found) or "")


def write_counts_files(folder: Path, task: str, number: int, method: PricedRun) -> None:
    """One file a method and schedule; the name says which. Hops as on Loihi 1, the chip that is charged for them."""
    for schedule in method.schedules:
        name = re.sub(r"[^\w.+-]+", "-", f"{task}-{number:02d}-{method.method}-{method.row.budget}-{schedule}")
        write_json(
            folder / f"{name}.json", dump_rows(method.on("loihi1", method.rows(schedule)), method.op_counts.actions)
        )
