"""The README's two tables, read from those of docs/results.md: watts of whole systems, then success and operations."""

from __future__ import annotations

from spikeplan.experiments.report.readme_marks import marks

ADMITTED = "keep-out"
HEADLINE = {  # task -> its name and its rows; the admitted one first
    ADMITTED: ("KeepOut", ("guided", "guided-int8", "guided-sigma_delta")),
    "two-room": ("TwoRoom, tutorial", ("dense", "sigma_delta")),
}


def headline(page: str) -> str:
    """Of systems on the admitted task those that plan, nominal; of each task's methods success and synop-equivalents."""
    lines = _systems(page)
    lines += ["| task | method | success | 95 % | M synop-equivalents an action |", "|---|---|---|---|---|"]
    for task, (title, methods) in HEADLINE.items():
        if f"\n### {task}\n" not in page:  # a run of other tasks
            continue
        section = page.split(f"\n### {task}\n")[1].split("\n### ")[0]
        rows: dict[str, list[str]] = {}
        for line in section.splitlines():  # of the first table, that of the methods
            cells = line.strip("| ").split(" | ")
            rows.setdefault(cells[0], cells)
        for method in methods:
            _, success, interval, _, _, _, _, equivalents, *_ = rows[method]
            lines.append(f"| {title} | {method} | {success} | {interval} | {equivalents} |")
    return "\n".join(lines)


def _systems(page: str) -> list[str]:
    """Nothing where the page has no such table. The policies that fail, and the bands, are on the page."""
    begin, end = marks("systems")
    if begin not in page:
        return []
    found: list[str] = []
    for line in page.split(begin)[1].split(end)[0].splitlines():
        cells = line.strip("| ").split(" | ")
        if cells[0] not in ("task", ADMITTED):
            continue
        task, system, plan, success, *watts, _ = cells  # the last: ms an action
        if task == "task":
            found += ["| " + " | ".join([system, success, *watts]) + " |", "|" + "---|" * (2 + len(watts))]
        elif "too few succeed" not in plan and "frame an action" not in plan:
            nominal = [cell.split(" (")[0] for cell in watts]
            found.append("| " + " | ".join([system, success, *nominal]) + " |")
    title = f"Mean power on {HEADLINE[ADMITTED][0]}, waiting included, each system with its cheapest plan:"
    return [title, "", *found, ""] if found else []
