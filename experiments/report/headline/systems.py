"""The first table of the page: what whole systems draw at control rates, each with its cheapest plan of equal success."""

from __future__ import annotations

from spikeplan.core.format import quantity
from spikeplan.energy import default
from spikeplan.energy.systems import load_systems
from spikeplan.evaluation.pricing.runs import PricedRun
from spikeplan.evaluation.pricing.systems import RATES_HZ, by_plan, lowest, plan_in_words, report_of
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import OpCountsRow
from spikeplan.experiments.report.markup import table
from spikeplan.experiments.report.page import Gallery, Section, by_task


def systems(results: Results, gallery: Gallery) -> Section:
    methods = {task: [PricedRun(row=row) for row in results.of(OpCountsRow, task)] for task in results.tasks}
    found = report_of({task: some for task, some in methods.items() if some}, default(), load_systems(), RATES_HZ)

    def content(task: str) -> list[object]:
        part = found["tasks"].get(task)
        if part is None or not part["rows"]:
            return []
        rates = found["rates_hz"]
        head = ("system", "plan", "success", *(f"{rate:g} Hz" for rate in rates), "an action above rest", "time")
        lines = []
        for by_rate in by_plan(part):
            row = lowest(by_rate)
            low, high = row["success_ci95"]
            lines.append(
                (
                    row["title"],
                    plan_in_words(row),
                    f"{row['success']:.3f} ({low:.3f} .. {high:.3f})",
                    *(_band(by_rate[rate]["watts"], "W") if rate in by_rate else "–" for rate in rates),
                    _band(row["action_J"], "J"),
                    quantity(row["latency_s"]["nominal"], "s"),
                )
            )
        return [table(head, lines, words=2)]

    return by_task("systems", results, content)


def _band(band: dict[str, float], unit: str) -> str:
    low, nominal, high = (quantity(band[end], unit) for end in ("low", "nominal", "high"))
    return f"{nominal} ({low} .. {high})"
