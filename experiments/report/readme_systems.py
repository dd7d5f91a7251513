"""The section on systems of docs/results.md, from the JSON of `spikeplan energy systems`."""

from __future__ import annotations

from typing import Any


def systems_section(found: dict[str, Any]) -> str:
    """A table of all tasks; the systems that draw least at the first rate come first."""
    rates = found["rates_hz"]
    lines = [
        "`spikeplan energy systems`: mean watts, waiting included, of whole systems that act so often a second; nominal (low .. "
        "high) of the constants. Each runs the plan of its side that draws least within "
        f"{100 * found['margin']:.0f} points of full dense planning. A dash: another plan draws less there, or none keeps the "
        "rate.",
        "",
        "| task | system | plan | success | " + " | ".join(f"{rate:g} Hz" for rate in rates) + " | ms an action |",
        "|" + "---|" * (5 + len(rates)),
    ]
    for task, part in found["tasks"].items():
        rows: dict[tuple[str, str, str], dict[float, dict[str, Any]]] = {}
        for row in part["rows"]:
            rows.setdefault((row["title"], row["kind"], row["method"]), {})[row["rate_hz"]] = row
        for (title, kind, _), by_rate in sorted(rows.items(), key=lambda one: _first(one[1])["watts"]["nominal"]):
            first = _first(by_rate)
            cells = [_band(by_rate[rate]["watts"]) if rate in by_rate else "-" for rate in rates]
            plan = first["method"] if kind == "plan" else f"{first['method']}, too few succeed"
            latency = f"{1e3 * first['latency_s']['nominal']:.2g}"
            lines.append("| " + " | ".join([task, title, plan, f"{first['success']:.3f}", *cells, latency]) + " |")
    return "\n".join(lines)


def _first(by_rate: dict[float, dict[str, Any]]) -> dict[str, Any]:
    return by_rate[min(by_rate)]


def _band(band: dict[str, float]) -> str:
    """Milliwatts below a tenth of a watt."""
    nominal, low, high = band["nominal"], band["low"], band["high"]
    if nominal < 0.1:
        return f"{1e3 * nominal:.2g} mW ({1e3 * low:.2g} .. {1e3 * high:.3g})"
    return f"{nominal:.3g} W ({low:.2g} .. {high:.3g})"
