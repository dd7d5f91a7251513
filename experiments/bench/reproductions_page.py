"""The table of measured systems: a row a measurement, a column a quantity, in the terminal and in docs/energy.md.

python -m spikeplan.experiments.bench.reproductions_page
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from spikeplan.experiments.bench.reproductions import UNITS, Reproduced, reproductions, tally

PAGE = Path("docs/energy.md")
BEGIN = "<!-- reproductions: written by experiments/bench/reproductions_page.py -->"
END = "<!-- end of reproductions -->"
HEADINGS = ("total", "dynamic", "seconds", "watts", "at rest")
LEGEND = (
    "ours / measured; `!` measured outside our band, `( )` calibrated on it, `?` not recomputed, `~` a count is swept, "
    "`>` ours is a lower bound"
)


def lines_of(found: Sequence[Reproduced]) -> list[tuple[str, ...]]:
    """(name, device, a cell a quantity) for each measurement.

    >>> lines_of(reproductions())[0][0]
    'pilotnet_snn_2022-10-25'
    """
    rows: dict[str, dict[str, Reproduced]] = {}
    for one in found:
        rows.setdefault(one.published.name, {})[one.quantity] = one
    return [
        (name, next(iter(row.values())).published.device, *(_cell(row.get(quantity)) for quantity in UNITS))
        for name, row in rows.items()
    ]


def _cell(one: Reproduced | None) -> str:
    if one is None:
        return ""
    if one.ours is None:
        return "?"
    text = "-" if one.ratio is None else f"{one.ratio:.2g}"
    text = f"{'>' if one.partial else ''}{'~' if one.swept else ''}{text}{'' if one.inside else '!'}"
    return f"({text})" if one.calibration else text


def missing_of(found: Sequence[Reproduced]) -> list[str]:
    """What was measured and not recomputed, and why: a line a measurement and reason."""
    why: dict[tuple[str, str], list[str]] = {}
    for one in found:
        if one.ours is None:
            why.setdefault((one.published.name, one.why), []).append(one.quantity)
    return [f"{name}: {', '.join(quantities)} {reason}" for (name, reason), quantities in why.items()]


def summary_of(found: Sequence[Reproduced]) -> str:
    """The benchmark's first row as a sentence."""
    count = tally(found)
    return f"{count.inside} {count.told()}"


def page_text() -> str:
    """What stands in docs/energy.md between the two marks."""
    found = reproductions()
    table = ["| measurement | machine | " + " | ".join(HEADINGS) + " |", "|---" * (len(HEADINGS) + 2) + "|"]
    table += ["| " + " | ".join(line) + " |" for line in lines_of(found)]
    return f"{summary_of(found)}.\n\nCells: {LEGEND}.\n\n" + "\n".join(table)


def updated(page: str) -> str:
    """The page with the table of now."""
    block = f"{BEGIN}\n\n{page_text()}\n\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, page, flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
