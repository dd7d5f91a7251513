"""The data behind each figure as CSV, beside its SVG."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import KINDS

# Figure -> kind of the rows in metrics.jsonl that it draws.
ROWS_OF = {
    "headline": "front",
    "front": "front",
    "front-joules": "front",
    "references": "front",
    "success": "method",
    "phases": "method",
    "admission": "admission",
    "agreement": "agreement",
    "density": "agreement",
    "heat": "agreement",
    "layers": "layers",
    "thresholds": "thresholds",
    "gates": "gates",
    "energy": "energy",
    "break-even": "break_even",
    "raster": "lava",
}


def csv_of(results: Results, figure: str, task: str) -> str | None:
    """Rows of the figure's kind, a column a field, nested values as JSON; None where the run keeps no such rows."""
    kind = ROWS_OF.get(figure)
    rows = [] if kind is None else [row.to_json() for row in results.of(KINDS[kind], task)]
    if not rows:
        return None
    columns = list(dict.fromkeys(name for row in rows for name in row))
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return target.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
