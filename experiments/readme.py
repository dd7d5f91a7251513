"""Writes the README's result tables from a results directory and from the spreads over training seeds, so that no figure
there is typed by hand.

python -m experiments.readme results/full [runs/two-room-spread.json ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- results: written by experiments/readme.py -->", "<!-- end of results -->"
SPREAD_BEGIN, SPREAD_END = "<!-- spread: written by experiments/readme.py -->", "<!-- end of spread -->"
ARMS = ("random", "oracle", "dense", "int8", "delta", "lif")


def number(value: Any, digits: int = 2) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {number(item)}" for key, item in value.items())
    if isinstance(value, list):
        return f"{value[0]:+.3f} .. {value[1]:+.3f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def millions(value: float | None) -> str:
    return "-" if value is None else f"{value / 1e6:.1f}"


def arm_table(arms: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "| arm | success | 95 % | paired vs dense | M MACs | M synops | M updates | M synop-equiv. | Spearman | top-k |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in ARMS:
        a = arms[name]
        if a["success"] is None:
            continue
        low, high = a["ci95"]
        cells = [
            name, number(a["success"], 3), f"{low:.3f} .. {high:.3f}", number(a["paired_vs_dense"]),
            millions(a["macs_per_action"]), millions(a["synops_per_action"]), millions(a["neuron_updates_per_action"]),
            millions(a["synop_equivalents_per_action"]), number(a["spearman"]), number(a["topk_overlap"]),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def tables(summary: dict[str, Any]) -> str:
    lines = [
        f"{summary['episodes']} paired episodes a task and arm, {summary['seeds']} planner seed(s). Operations per action, "
        "interleaved schedule for spiking arms, encoder and selection included.",
    ]
    for task, found in summary["tasks"].items():
        lines += ["", f"### {task}", "", found["verdict"], "", *arm_table(found["arms"])]
        density = found["arms"]["delta"]["density"] or {}
        if density:
            lines += ["", "Share of the dense synaptic operations per axis (sigma-delta, recorded plans): "
                      + ", ".join(f"{axis} {share:.2f}" for axis, share in density.items()) + "."]  # fmt: skip
        lines += ["", "| target | asked for | found | holds |", "|---|---|---|---|"]
        lines += [
            f"| {t['name']} | {t['goal']} | {number(t['value'], 3)} | {number(t['holds'])} |" for t in found["targets"]
        ]
    return "\n".join(lines)


def spread_table(spreads: list[dict[str, Any]]) -> str:
    lines = [
        "| task | training seed | dense | int8 | delta (axis, thresholds, synop share) | lif |",
        "|---|---|---|---|---|---|",
    ]
    for spread in spreads:
        for row in spread["seeds"]:
            arms = row["arms"]
            delta = arms["delta"]
            how = f"({delta['axis']}, x {delta['threshold']:g}, {delta['synop_share']:.2f})"
            cells = [spread["task"], str(row["seed"]), *(number(arms[a]["success"]) for a in ("dense", "int8"))]
            cells += [f"{number(delta['success'])} {how}", number(arms["lif"]["success"])]
            lines.append("| " + " | ".join(cells) + " |")
        means = [
            f"{s['mean']:.3f} ± {s['std']:.3f}"
            for s in (spread["success"][a] for a in ("dense", "int8", "delta", "lif"))
        ]
        lines.append("| " + " | ".join([spread["task"], "mean ± s.d.", *means]) + " |")
    return "\n".join(lines)


def rewrite(readme: Path, summary: dict[str, Any], spreads: list[dict[str, Any]]) -> None:
    text = between(readme.read_text(), BEGIN, tables(summary), END)
    readme.write_text(between(text, SPREAD_BEGIN, spread_table(spreads), SPREAD_END) if spreads else text)


def between(text: str, begin: str, new: str, end: str) -> str:
    before, rest = text.split(begin)
    return f"{before}{begin}\n{new}\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    found, *spreads = (Path(name) for name in sys.argv[1:])
    rewrite(
        Path("README.md"),
        json.loads((found / "summary.json").read_text()),
        [json.loads(path.read_text()) for path in spreads],
    )
