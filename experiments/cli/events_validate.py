"""`spikeplan events validate`: the simulated sensor against closed forms, one row a rung of the ladder.

The last rung films the planar arm at 1 kHz: thresholds times events give back the change of ln radiance.
"""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table

from spikeplan.eventdata.simulation.record import simulate
from spikeplan.eventdata.simulation.simulator import LOG_FLOOR, DvsParams
from spikeplan.eventdata.validate import Row, joined, ladder, row
from spikeplan.experiments.main_study.frames import arm_frames
from spikeplan.experiments.runner.output import check_outputs, write_report
from spikeplan.experiments.runner.progress import working


def arm() -> list[Row]:
    frames = np.stack(list(arm_frames(3, 1000, 48, 0)))
    logs = np.log(frames.astype(np.float64) + LOG_FLOOR)
    stamped = ((1000 * k, frame[None]) for k, frame in enumerate(frames))
    events = joined(list(simulate(stamped, DvsParams(), np.random.default_rng(0))))
    total = np.zeros((48, 48))
    np.add.at(total, (events.y, events.x), np.where(events.p, 0.2, -0.2))
    left = float(np.abs(logs[-1] - logs[0] - total).max() / 0.2)
    return [
        row("arm at 1 kHz, 0.3 s: change left unsaid", left, 0, 1 + 1e-6, f"theta, {len(events):,} events"),
    ]


def validate_command(json: str | None, *, console: Console) -> int:
    """Prints the table; 1 when a rung breaks."""
    check_outputs({"--json": json})
    with working("simulating the ladder"):
        rows = [*ladder(), *arm()]
    if json is not None:
        write_report(json, rows)
    table = Table("check", "measured", "expected", "tolerance", "unit", "holds", title="simulated sensor")
    for one in rows:
        numbers = (f"{one[key]:.5g}" for key in ("measured", "expected", "tolerance"))
        table.add_row(one["check"], *numbers, one["unit"], "yes" if one["holds"] else "no")
    console.print(table)
    return int(not all(one["holds"] for one in rows))
