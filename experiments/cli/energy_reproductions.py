"""What `spikeplan energy reproductions` does: measured systems beside our models, as a table or as JSON."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from spikeplan.energy.reproductions import PATH, load_published
from spikeplan.experiments.bench.reproductions import reproductions, tally
from spikeplan.experiments.bench.reproductions_page import HEADINGS, LEGEND, lines_of, missing_of, summary_of
from spikeplan.experiments.cli.energy_devices import catalogue_of
from spikeplan.experiments.runner.output import check_outputs, write_report


def reproductions_command(*, json: str | None, devices: str | None, console: Console) -> None:
    """`devices`: figures of one's own, so that a better constant can be tried against all measurements."""
    check_outputs({"--json": json}, inputs=(devices, str(PATH)))
    found = reproductions(load_published(), catalogue_of(devices))
    table = Table(
        Column("measurement", no_wrap=True),
        *HEADINGS,
        title="measured systems, recomputed from their counts",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name, _, *cells in lines_of(found):
        table.add_row(name, *cells)
    console.print(table)
    console.print(LEGEND.replace("`", ""), markup=False, highlight=False, soft_wrap=True)
    console.print(summary_of(found), markup=False, highlight=False, soft_wrap=True)
    for line in missing_of(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if json is not None:
        count = tally(found)
        write_report(
            json,
            {
                "inside": count.inside,
                "tested": count.tested,
                "inside_with_swept_counts": count.swept,
                "calibrations": count.calibrations,
                "not_recomputed": count.missing,
                "rows": [one.to_json() for one in found],
            },
        )
