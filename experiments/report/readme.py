"""Writes the tables of docs/results.md from results directories, bench rows and spreads over training seeds, and the README's
headline table from that page: no figure in a table there is typed by hand.

python -m spikeplan.experiments.report.readme results/full [results/planners] [results/lava-TASK ...] [bench-NAME.json ...]
                                              [runs/TASK-spread.json ...] [energy.json] [systems.json]

In place of results/full: one directory a task, as `spikeplan results --task TASK` makes it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikeplan.core.errors import UserError
from spikeplan.evaluation.iso_success import decides
from spikeplan.evaluation.results import load, read_summary
from spikeplan.evaluation.rows import FrontRow
from spikeplan.evaluation.summary import MethodSummary, Summary
from spikeplan.experiments.report.front import equivalents, families, pareto
from spikeplan.experiments.report.readme_energy import energy_section, systems_section
from spikeplan.experiments.report.readme_headline import headline
from spikeplan.experiments.report.readme_marks import between

BENCHES = {  # by the first row
    "plan_values_different": "bench lava",
    "histogram_vs_tonic": "bench events",
    "guided_success": "bench planner",
    "zero_5_H3": "bench references",
    "delta_vs_dense_64": "bench convert",
    "mlp_trained": "bench converters",
    "dense_64_5_H2_plain": "bench shared_work",
    "transformer_points": "bench predictors",
    "dense: 64 guided 4 H4 spread 0.3": "bench wide",
    "dense: 64 guided 5 H2 + 0.15 V spread 0.6": "bench sparse_front",
}
FOUR = ("dense", "int8", "sigma_delta", "lif")
SIDES = ("dense", "spiking")
PAGE, README = Path("docs/results.md"), Path("README.md")


def number(value: Any, digits: int = 2) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {number(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return f"{value[0]:+.3f} .. {value[1]:+.3f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def millions(value: float | None) -> str:
    return "-" if value is None else f"{value / 1e6:.1f}"


def method_table(methods: dict[str, MethodSummary]) -> list[str]:
    lines = [
        "| method | success | 95 % | paired vs dense | M MACs | M synops | M updates | M synop-equiv. | Spearman | top-k |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, a in methods.items():
        if (
            a.success is None or a.ci95 is None or a.values_compared is not None
        ):  # episodes in Lava are a table of their own
            continue
        cells = [
            name,
            number(a.success, 3),
            "{:.3f} .. {:.3f}".format(*a.ci95),
            number(a.paired_vs_dense),
            millions(a.macs_per_action),
            millions(a.synops_per_action),
            millions(a.neuron_updates_per_action),
            millions(a.synop_equivalents_per_action),
            number(a.spearman),
            number(a.topk_overlap),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def tables(summary: Summary, fronts: Mapping[str, list[str]] | None = None) -> str:
    """Of each task: methods, what is asked, and the lines of its front where there is one."""
    lines = [
        f"{summary.episodes} paired episodes a task and method, {summary.seeds} planner seed(s). Operations per action, "
        "interleaved schedule for spiking methods, encoder and selection included.",
    ]
    for task, figures in summary.tasks.items():
        lines += ["", f"### {task}", "", figures.verdict or "", "", *method_table(figures.methods)]
        density = figures.methods.get(figures.spiking, MethodSummary()).density or {}
        if density:
            lines += [
                "",
                "Share of the dense synaptic operations per reference (sigma-delta, recorded plans): "
                + ", ".join(f"{reference} {share:.2f}" for reference, share in density.items())
                + ".",
            ]
        lines += ["", "| target | asked for | found | holds |", "|---|---|---|---|"]
        lines += [f"| {t.name} | {t.goal} | {number(t.value, 3)} | {number(t.holds)} |" for t in figures.targets]
        front = (fronts or {}).get(task, [])
        lines += ["", *front] if front else []
    return "\n".join(lines)


def front_table(rows: Sequence[FrontRow]) -> list[str]:
    """Lines of a table: points that no cheaper point of their side equals, from cheap to dear; none where there is no front."""
    deciding = families([row for row in rows if decides(row)])
    points = [(side, row) for side in SIDES for row in pareto(deciding[side], equivalents)]
    if not points:
        return []
    lines = [
        "Points that no cheaper point of their side equals, on the first planner seed; `minus` is paired with the full dense "
        "planner.",
        "",
        "| side | method | budget | success | 95 % | minus, 95 % | M synop-equiv. |",
        "|---|---|---|---|---|---|---|",
    ]
    for side, row in points:
        interval, minus = ("{:.3f} .. {:.3f}".format(*row.ci95), "{:+.3f} .. {:+.3f}".format(*row.paired_vs_dense))
        cells = [
            side,
            row.method,
            row.budget,
            f"{row.success:.3f}",
            interval,
            minus,
            f"{row.synop_equivalents / 1e6:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def merged(studies: list[Summary]) -> Summary:
    """Runs of single tasks as one study. Raises UserError where a task is in two of them, or their sizes differ."""
    first, tasks = studies[0], [task for study in studies for task in study.tasks]
    if len(set(tasks)) < len(tasks):
        raise UserError(
            f"results of {', '.join(sorted({t for t in tasks if tasks.count(t) > 1}))} are given twice; give each once"
        )
    if len({(study.episodes, study.seeds) for study in studies}) > 1:
        raise UserError("results differ in episodes or planner seeds; run all of them with `spikeplan results`")
    return replace(first, tasks={task: figures for study in studies for task, figures in study.tasks.items()})


def spread_table(spreads: list[dict[str, Any]]) -> str:
    lines = [
        "| task | training seed | dense | int8 | delta (reference, thresholds, synop share) | lif |",
        "|---|---|---|---|---|---|",
    ]
    for spread in spreads:
        for row in spread["seeds"]:
            methods = row["methods"]
            delta = methods["sigma_delta"]
            how = f"({delta['reference']}, x {delta['threshold']:g}, {delta['synop_share']:.2f})"
            cells = [spread["task"], str(row["seed"]), *(number(methods[a]["success"]) for a in ("dense", "int8"))]
            cells += [f"{number(delta['success'])} {how}", number(methods["lif"]["success"])]
            lines.append("| " + " | ".join(cells) + " |")
        means = [f"{s['mean']:.3f} ± {s['std']:.3f}" for s in (spread["success"][a] for a in FOUR)]
        lines.append("| " + " | ".join([spread["task"], "mean ± s.d.", *means]) + " |")
    return "\n".join(lines)


def planners_table(summary: dict[str, Any]) -> str:
    lines = [
        f"{summary['episodes']} episodes x {summary['seeds']} planner seed(s), `spikeplan planners`.",
        "",
        "| task | planner of the sigma-delta network | success | 95 % | integer - it | paired 95 % | >= -0.03 |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, rows in summary["tasks"].items():
        minus = next(row["minus"] for row in rows if row["method"] == "integer")
        for row in rows:
            low, high = row["ci95"]
            cells = [task, row["method"], number(row["success"], 3), f"{low:.3f} .. {high:.3f}"]
            found = minus.get(row["method"])
            cells += (
                [f"{found['mean']:+.3f}", number(found["ci95"]), number(found["holds"])] if found else ["-", "-", "-"]
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def lava_table(summaries: list[Summary]) -> str:
    """Runs of `spikeplan plan --method lava`."""
    lines = [
        "| task | episodes | success | 95 % | values compared | different | values clipped | s a plan | drift from floating | "
        "drift from dense |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for summary in summaries:
        for task, figures in summary.tasks.items():
            a = figures.methods["lava"]
            if a.ci95 is None or a.drift_from_floating is None or a.drift_from_dense is None:
                continue
            drifts = [f"{drift[0]:.2f} .. {drift[-1]:.2f}" for drift in (a.drift_from_floating, a.drift_from_dense)]
            cells = [
                task,
                number(a.episodes),
                number(a.success),
                "{:.2f} .. {:.2f}".format(*a.ci95),
                number(a.values_compared),
                number(a.values_different),
                number(a.saturated),
                number(a.plan_seconds, 3),
                *drifts,
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bench_table(rows: list[dict[str, Any]]) -> str:
    lines = ["| row | ours | other | ratio | unit | asked for | holds |", "|---|---|---|---|---|---|---|"]
    for row in (row for row in rows if not row.get("detail")):
        figures = [number(row[key], 4) for key in ("ours", "other")] + [number(row["ratio"])]
        holds = number(row["holds"]) if row["holds"] is not None else "-"
        lines.append("| " + " | ".join([row["name"], *figures, row["unit"], row["goal"] or "-", holds]) + " |")
    return "\n".join(lines)


def rewrite(page: Path, paths: list[Path], readme: Path | None = None) -> None:
    """`readme` gets the headline table. A directory holds results, planners or episodes in Lava; a file a spread, bench rows,
    an energy report or systems. Spreads, episodes in Lava, and results of single tasks make one table each."""
    text = page.read_text()
    spreads, episodes, studies = [], [], []
    fronts: dict[str, list[str]] = {}
    for path in paths:
        if path.is_dir():
            command = json.loads((path / "config.json").read_text())["command"]
            if command == "plan":
                episodes.append(read_summary(path))
            elif command == "planners":
                text = between(text, "planners", planners_table(json.loads((path / "summary.json").read_text())))
            else:
                results = load(path)
                studies.append(results.summary)
                fronts |= {task: front_table(results.front(task)) for task in results.tasks}
        elif isinstance(found := json.loads(path.read_text()), list):
            text = between(text, BENCHES[found[0]["name"]], bench_table(found))
        elif found.get("report") == "energy":
            text = between(text, "energy", energy_section(found))
        elif found.get("report") == "systems":
            text = between(text, "systems", systems_section(found))
        else:
            spreads.append(found)
    text = between(text, "results", tables(merged(studies), fronts)) if studies else text
    text = between(text, "lava episodes", lava_table(episodes)) if episodes else text
    text = between(text, "spread", spread_table(spreads)) if spreads else text
    page.write_text(text)
    if readme is not None:
        readme.write_text(between(readme.read_text(), "headline", headline(text)))


if __name__ == "__main__":
    rewrite(PAGE, [Path(name) for name in sys.argv[1:]], README)
