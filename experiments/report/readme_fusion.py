"""Writes the tables of docs/fusion.md and docs/results.md from a results directory of `spikeplan fusion`: no figure in a table
there is typed by hand. A page gets the tables whose marks it has.

python -m spikeplan.experiments.report.readme_fusion results/fusion [docs/fusion.md docs/results.md]
python -m spikeplan.experiments.report.readme_fusion --reprice docs/fusion.md     the cost table alone, from its own counts, with
                                                                                  the catalogue as it is now
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from spikeplan.experiments.fusion_study.front_end_energy import EventRates, front_ends
from spikeplan.experiments.fusion_study.rows import FrontEndRow, FusionMethodRow, FusionSummary, Mean, read_summary
from spikeplan.experiments.fusion_study.summary import HEADLINE
from spikeplan.fusion.checkpoint import FuseBundle, load_fusion
from spikeplan.fusion.estimators import METHODS
from spikeplan.fusion.streams import TICK_MS


def line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def head(*cells: str) -> list[str]:
    return [line(*cells), "|" + "---|" * len(cells)]


def band(of: Mean, digits: int = 4) -> str:
    mean, low, high = of
    return f"{mean:+.{digits}f} ({low:+.{digits}f} .. {high:+.{digits}f})"


def plain(of: Mean) -> str:
    mean, low, high = of
    return f"{mean:.4f} ± {(high - low) / 2:.4f}"


def by_method(summary: FusionSummary, cell: Callable[[FusionMethodRow], str]) -> str:
    lines = head("condition", *METHODS)
    for name, rows in summary.conditions.items():
        methods = {row.method: row for row in rows}
        lines.append(line(name, *(cell(methods[method]) for method in METHODS)))
    return "\n".join(lines)


def success_table(summary: FusionSummary) -> str:
    return by_method(summary, lambda row: f"{row.success:.2f} ({row.ci95[0]:.2f} .. {row.ci95[1]:.2f})")


def distance_table(summary: FusionSummary) -> str:
    return by_method(summary, lambda row: plain(row.distance))


def state_table(summary: FusionSummary) -> str:
    return by_method(summary, lambda row: plain(row.state_error))


def gain_table(summary: FusionSummary) -> str:
    lines = head(
        "condition", "best frame-only", "gain in distance", "gain in success", "gain in state error (its best)"
    )
    for name, rows in summary.conditions.items():
        gain = next(row.gain for row in rows if row.method == HEADLINE)
        assert gain is not None
        state = f"{band(gain.state_error)} ({gain.best_frame_only_state})"
        lines.append(line(name, gain.best_frame_only, band(gain.distance), band(gain.success, 2), state))
    return "\n".join(lines)


def claim_table(summary: FusionSummary) -> str:
    def word(holds: bool) -> str:
        return "holds" if holds else "**fails**"

    lines = head("target", "condition", "against", "distance", "success", "state error")
    for row in summary.claims:
        cells = map(word, (row.holds_distance, row.holds_success, row.holds_state))
        lines.append(line(row.claim, row.condition, row.best_frame_only, *cells))
    said = [f"- {text}" for text in summary.where_events_do_not_help] or ["- in no condition of this run"]
    return "\n".join([*lines, "", "Where events do not help:", "", *said])


def age_table(summary: FusionSummary, condition: str = "drop 75 %") -> str:
    rows = summary.conditions.get(condition) or next(iter(summary.conditions.values()))
    bins = [(b.from_s, b.to_s) for b in rows[0].by_age]
    lines = head("ms since the newest known exposure", *(row.method for row in rows), "samples")
    for i, (low, high) in enumerate(bins):
        upper = f"{1e3 * high:.0f}" if high < 1 else "more"
        cells = [f"{row.by_age[i].error:.4f}" for row in rows]
        lines.append(line(f"{1e3 * low:.0f} to {upper}", *cells, str(rows[0].by_age[i].samples)))
    return "\n".join(lines)


def latency_table(summary: FusionSummary) -> str:
    names = list(dict.fromkeys(row.condition for row in summary.latency))
    lines = head("method", *names)
    for method in METHODS:
        ms = {row.condition: row.ms for row in summary.latency if row.method == method}
        lines.append(line(method, *("{:.0f} ({:.0f} .. {:.0f})".format(*ms[n]) for n in names)))
    return "\n".join(lines)


MILLI = 1e-3  # W; below it a machine sleeps
SHOWN = ("nominal", "speed x1", "speed x8", "light 1/64")  # conditions of the cost table
COST_COLUMNS = (
    "condition",
    "front end",
    "machines",
    "events/s",
    "frames/s",
    "M MACs/s",
    "M synops/s",
    "M updates/s",
    "W: nominal (low .. high)",
    "W at rest",
    "W of cameras",
)


def cost_table(summary: FusionSummary) -> str:
    lava = summary.lava
    lines = cost_lines(summary.front_end)
    if lava is not None:
        lines += [
            "",
            f"In Lava: {lava.passes} windows, {lava.values_compared:,} messages, states and values compared "
            f"with `==`, {lava.values_different} different.",
        ]
    return "\n".join(lines)


def cost_lines(rows: Iterable[FrontEndRow]) -> list[str]:
    """Frames cost the same in all conditions, so they are there once."""
    lines = head(*COST_COLUMNS)
    for row in rows:
        if row.condition not in SHOWN or (row.condition != "nominal" and row.front_end not in ("events", "fused")):
            continue
        millions = [f"{rate / 1e6:.2f}" for rate in (row.macs_per_s, row.synops_per_s, row.updates_per_s)]
        rates = (f"{row.events_per_s:.0f}", f"{row.frames_per_s:.1f}")
        watts = "too slow" if row.watts is None else _watts(row.watts)
        cameras = "-" if row.watts_cameras is None else f"{row.watts_cameras[1]:.3f}"
        rest = f"{row.watts_at_rest[1]:.3g}" if row.watts_at_rest[1] >= MILLI else "asleep"
        lines.append(line(row.condition, row.front_end, row.device, *rates, *millions, watts, rest, cameras))
    return lines


def _watts(of: Mean) -> str:
    return f"{of[1]:.4g} ({of[0]:.3g} .. {of[2]:.3g})"


def reprice(page: Path, bundle: FuseBundle) -> None:
    """Writes the cost table of a page again, from the counts in it: prices follow the catalogue, a run takes hours.

    Raises ValueError for a page whose table lacks a column of counts.
    """
    begin, end = marks("cost")
    before, rest = page.read_text().split(begin)
    old, after = rest.split(end)
    table = [[cell.strip() for cell in row.strip("|").split("|")] for row in old.splitlines() if row.startswith("|")]
    place = {name: table[0].index(name) for name in ("condition", "front end", "events/s", "frames/s", "M synops/s")}
    rows: list[FrontEndRow] = []
    for cells in table[2:]:
        condition, name, *numbers = (cells[at] for at in place.values())
        if name != "events" or any(row.condition == condition for row in rows):
            continue
        events, frames, synops = map(float, numbers)
        layers, tick_hz = len(bundle.artifact.layers), 1000 / TICK_MS
        neurons = sum(layer.n_out for layer in bundle.artifact.layers)
        rates = EventRates(synops=synops * 1e6, updates=neurons * layers * tick_hz, steps=layers * tick_hz)
        rows += [
            FrontEndRow(
                condition=condition,
                events_per_s=events,
                frames_per_s=frames,
                event_density=0.0,
                saturated=0,
                **vars(cost),
            )
            for cost in front_ends(bundle, rates)
        ]
    told = [text for text in old.splitlines() if text and not text.startswith("|")]
    page.write_text("\n".join([f"{before}{begin}", told[0], "", *cost_lines(rows), "", *told[1:], f"{end}{after}"]))


TABLES: dict[str, Callable[[FusionSummary], str]] = {
    "targets": claim_table,
    "gain": gain_table,
    "success": success_table,
    "distance": distance_table,
    "state": state_table,
    "age": age_table,
    "latency": latency_table,
    "cost": cost_table,
}


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: written by experiments/report/readme_fusion.py -->", f"<!-- end of {name} -->"


def rewrite(page: Path, summary: FusionSummary) -> None:
    text = page.read_text()
    for name, table in TABLES.items():
        begin, end = marks(name)
        if begin not in text:
            continue
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        size = f"{summary.episodes} paired episodes a condition and method, {summary.seeds} seed(s)."
        text = f"{before}{begin}\n{size}\n\n{table(summary)}\n{end}{after}"
    page.write_text(text)


if __name__ == "__main__":
    if sys.argv[1] == "--reprice":
        for name in sys.argv[2:] or ("docs/fusion.md",):
            reprice(Path(name), load_fusion(None))
        sys.exit()
    summary = read_summary(Path(sys.argv[1]))
    for name in sys.argv[2:] or ("docs/fusion.md", "docs/results.md"):
        rewrite(Path(name), summary)
