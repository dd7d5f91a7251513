"""The sections on energy and on systems of docs/results.md, from the JSON of `spikeplan energy report` and `energy systems`."""

from __future__ import annotations

from typing import Any

from spikeplan.core.format import joule, percent, quantity
from spikeplan.evaluation.pricing.pairs import replicas_in_words
from spikeplan.evaluation.pricing.systems import by_plan, lowest, plan_in_words

CHIPS = ("loihi2", "loihi1")
HEAD = (
    "| task | chip | schedule | against | spiking / dense | low .. high | P(spikes win) | over priors | GPU waiting |"
)


def energy_section(found: dict[str, Any]) -> str:
    lines = [
        f"`spikeplan energy report`, run of {found['command']}, {_episodes(found)} episodes: scope system, whole loop, cheapest "
        f"points within {100 * found['margin']:.0f} points of full dense planning; {found['draws']} draws of the figures' bands. "
        "*GPU waiting*: the same probability where the GPU sits at idle power from one dependent kernel to the "
        "next, and, as a spiking method's host, until the chip is done.",
        "",
        HEAD,
        "|" + "---|" * (HEAD.count("|") - 1),
    ]
    for task, part in found["tasks"].items():
        lines += [_pair(task, row, found["priors"][0]) for row in part["pairs"] if _shown(row)]
    for task, part in found["tasks"].items():
        lines += ["", *_told(task, part)]
    return "\n".join(lines)


def _episodes(found: dict[str, Any]) -> str:
    return " / ".join(str(part["episodes"]) for part in found["tasks"].values())


def _shown(row: dict[str, Any]) -> bool:
    return (
        row["chip"] in CHIPS
        and not row["hypothetical"]
        and (row["chip"] == CHIPS[0] or row["schedule"] == "interleaved")
    )


def _pair(task: str, row: dict[str, Any], prior: str) -> str:
    chances = row["probability"].values()
    cells = [
        task,
        row["chip"],
        row["schedule"] + replicas_in_words(row),
        row["device"],
        f"{row['ratio']:.3g}",
        f"{row['ratio_low']:.3g} .. {row['ratio_high']:.3g}",
        percent(row["probability"][prior]),
        f"{percent(min(chances))} .. {percent(max(chances))}",
        percent(row["probability_waiting"]),
    ]
    return "| " + " | ".join(cells) + " |"


def _others(part: dict[str, Any]) -> list[str]:
    """Wins of chips that the table leaves out, against GPUs."""
    wins = [
        row
        for row in part["pairs"]
        if row["chip"] not in CHIPS
        and not row["hypothetical"]
        and row["ahead"] == "spiking"
        and row["device"] != "cpu"
        and row["schedule"] == "interleaved"
    ]
    told = []
    for chip in dict.fromkeys(row["chip"] for row in wins):
        mine = [row for row in wins if row["chip"] == chip]
        bound = " (a lower bound: no static power or time is known)" if mine[0]["incomplete"] else ""
        ratios = ", ".join(f"{row['ratio']:.2g} {row['device']}" for row in mine)
        told.append(f"{chip}{bound} {ratios}")
    return [f"  Other chips ahead of a GPU, spiking / dense, interleaved: {'; '.join(told) or 'none'}."]


def _told(task: str, part: dict[str, Any]) -> list[str]:
    """Wins and losses in words, GPU and opponents included."""
    real = [row for row in part["pairs"] if not row["hypothetical"] and row["chip"] == CHIPS[0]]
    if not real:
        return [f"- **{task}**: no pair of equal success."]
    lines = []
    for ahead, words in (("spiking", "spikes ahead of"), ("dense", "dense ahead on")):
        names = list(dict.fromkeys(row["device"] for row in real if row["ahead"] == ahead))
        lines.append(f"{words} {', '.join(names) or 'none'}")
    turning = sorted({w["figure"] for row in real for w in row["sensitivity"] if w["turns"]})
    lines.append(f"figures that turn a verdict alone: {', '.join(turning) or 'none'}")
    said = [f"- **{task}**, loihi2, nominal: {'; '.join(lines)}.", *_others(part)]
    gpus = {row["device"] for row in part["gpu"]} or {row["device"] for row in real}
    near = min((row for row in real if row["device"] in gpus), key=lambda row: row["ratio"], default=real[0])
    said.append(
        f"  Nearest GPU pair: {near['spiking_method']}{replicas_in_words(near)} ({joule(near['spiking']['nominal'])}, "
        f"{quantity(near['spiking']['latency_s'], 's')}, {near['schedule']}) against {near['dense_method']} on "
        f"{near['device']} ({joule(near['dense']['nominal'])}): algorithm gain {near['algorithm_gain']:.2g} x hardware "
        f"gain {near['hardware_gain']:.2g}."
    )
    for row in part["gpu"]:
        if row["idle_joules"] is not None and row["method"] == part["gpu"][-1]["method"]:
            said.append(
                f"  {row['device']}, {row['method']}: {quantity(row['roofline_s'], 's')} and {joule(row['joules'])} at the peak; "
                f"{quantity(row['launched_s'], 's')} with {row['kernels']:.0f} launches, {joule(row['idle_joules'])} at "
                f"{row['idle_w']:g} W idle while waiting, {joule(row['full_joules'])} at full power throughout."
            )
    main = [row for row in part["chips"] if row["device"] == CHIPS[0]]
    said += [
        f"  {row['device']}, {row['method']}{replicas_in_words(row)}, {row['schedule']}: {joule(row['chip'])} operations, "
        f"{percent(1 - row['chip'] / row['system'])} of {joule(row['system'])} is static power, I/O and host."
        for row in main
    ]
    return said


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
        for by_rate in by_plan(part):
            first = lowest(by_rate)
            cells = [_watts(by_rate[rate]["watts"]) if rate in by_rate else "-" for rate in rates]
            plan = plan_in_words(first)
            latency = f"{1e3 * first['latency_s']['nominal']:.2g}"
            lines.append(
                "| " + " | ".join([task, first["title"], plan, f"{first['success']:.3f}", *cells, latency]) + " |"
            )
    return "\n".join(lines)


def _watts(band: dict[str, float]) -> str:
    """Milliwatts below a tenth of a watt."""
    nominal, low, high = band["nominal"], band["low"], band["high"]
    if nominal < 0.1:
        return f"{1e3 * nominal:.2g} mW ({1e3 * low:.2g} .. {1e3 * high:.3g})"
    return f"{nominal:.3g} W ({low:.2g} .. {high:.3g})"
