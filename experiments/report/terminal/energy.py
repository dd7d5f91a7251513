"""The energy report as terminal tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.core.format import DASH, joule, percent, quantity, several
from spikeplan.evaluation.pricing.pairs import MAIN_CHIP, replicas_in_words

SHORT_SCHEDULE = {"sequential": "seq.", "interleaved": "int."}
SHORT = ("orin_nano", "h100")  # of chips other than the main one; --json has every pair


def print_report(found: dict[str, Any], console: Console) -> None:
    for task, part in found["tasks"].items():
        console.rule(escape(task))
        _pairs(part, found, console)
        _opponents(part, console)
        _layers(part, console)
        _chips(part, console)
        _gpu(part, console)
        for what, why in part["refused"].items():
            console.print(f"[dim]not priced: {escape(what)}: {escape(why)}[/]")
    console.print(
        f"[dim]Counts are simulated, energy is an estimate, no chip was measured. Probabilities: "
        f"{several(found['draws'], 'draw')} of the "
        "figures' bands, not of episodes. Dense devices run at their peak rates unless said otherwise.[/]"
    )


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right")
    return table


def _pairs(part: dict[str, Any], found: dict[str, Any], console: Console) -> None:
    if not part["pairs"]:
        console.print("No pair of a spiking and a dense method of equal success in this run.")
        return
    table = _table(
        "Scope system, whole loop, J an action, cheapest points of equal success",
        ("chip, schedule", "against"),
        ("spiking", "dense", "ratio", "low .. high", "P(win)", "over priors", "waiting"),
    )
    shown = [row for row in part["pairs"] if row["chip"] == MAIN_CHIP or _in_short(row)]
    for row in shown:
        chances = row["probability"].values()
        table.add_row(
            f"{escape(row['chip'])} {SHORT_SCHEDULE[row['schedule']]}{replicas_in_words(row)}"
            + (" (>=)" if row["incomplete"] else ""),
            escape(row["device"]) + (" (hyp.)" if row["hypothetical"] else ""),
            joule(row["spiking"]["nominal"]),
            joule(row["dense"]["nominal"]),
            f"{row['ratio']:.3g}",
            f"{row['ratio_low']:.3g} .. {row['ratio_high']:.3g}",
            percent(row["probability"][found["priors"][0]]),
            f"{percent(min(chances))} .. {percent(max(chances))}",
            percent(row["probability_waiting"]),
        )
    console.print(table)
    console.print(
        f"[dim]{len(part['pairs']) - len(shown)} more pairs in --json. (>=): no static power or time is known, a lower bound. "
        "(hyp.): no such device. cpu: measured here, in fp32 only. P(win): that spikes take less, over the bands of the figures; "
        "waiting: the same where the GPU idles from one kernel to the next, as it does unless a plan is fused into one, and "
        "where a spiking method's host, the same GPU, idles until the chip is done.[/]"
    )
    for sentence in part["verdicts"]:
        console.print(f"- {escape(sentence)}")


def _in_short(row: dict[str, Any]) -> bool:
    return row["schedule"] == "interleaved" and row["device"] in SHORT


def _opponents(part: dict[str, Any], console: Console) -> None:
    found = part["opponents"]
    if found is None:
        console.print("No opponents: this run has no dense planner or no spiking method.")
        return
    table = _table(
        f"Opponents of {escape(found['method'])} on {escape(found['chip'])}{replicas_in_words(found)}, {found['schedule']} "
        f"({joule(found['joules'])} [{joule(found['low'])} .. {joule(found['high'])}], {found['equivalents'] / 1e6:.1f} M)",
        ("opponent", "method", "device"),
        ("success", "M synop-eq.", "J", "spiking / it", "algorithm gain", "x hardware gain"),
    )
    for row in found["rows"]:
        if row["method"] is None:
            table.add_row(escape(row["opponent"]), DASH, escape(row["note"]), *[DASH] * 6)
            continue
        table.add_row(
            escape(row["opponent"]) + (f" [dim]({escape(row['note'])})[/]" if row["note"] else ""),
            escape(f"{row['method']} {row['precision']}"),
            escape(row["device"]),
            f"{row['success']:.2f}",
            f"{row['equivalents'] / 1e6:.1f}",
            joule(row["joules"]),
            f"{row['ratio']:.3g}",
            f"{row['algorithm_gain']:.3g}",
            f"{row['hardware_gain']:.3g}",
        )
    console.print(table)


def _layers(part: dict[str, Any], console: Console) -> None:
    if not part["layers"]:
        return
    devices = [name for name in part["layers"][0]["s_star"] if name in SHORT]
    table = _table(
        "Density by connection and reference, and break-even s* of one replica against each device (peak energy per MAC, int8; "
        "--json has all)",
        ("reference", "threshold", "layer"),
        (
            "success",
            "s",
            *(f"s* {name}" for name in devices),
            "update term",
            "static term",
            f"{devices[0]} without static",
        ),
    )
    for row in part["layers"]:
        one = row["s_star"][devices[0]]
        table.add_row(
            row["reference"],
            f"x {row['threshold']:g}" if row["threshold"] else DASH,
            row["layer"],
            f"{row['success']:.2f}",
            f"{row['s']:.3f}",
            *(f"{row['s_star'][name]['s_star']:.3g}" for name in devices),
            f"{one['update']:.3g}",
            f"{one['static']:.3g}",
            f"{one['first'] - one['update']:.3g}",
        )
    console.print(table)


def _chips(part: dict[str, Any], console: Console) -> None:
    for key, where in (("chips", "chip"), ("dense", "dense device")):
        for method in dict.fromkeys(row["method"] for row in part[key]):
            rows = [row for row in part[key] if row["method"] == method]
            host = f", encoder on {escape(str(rows[0]['host']))}" if key == "chips" else ""
            table = _table(
                f"{escape(method)} on each {where}{host}: scopes compute, chip, system, J an action",
                ("device", "schedule"),
                ("compute", "chip", "system", "low .. high of system", "static, I/O, host", "time"),
            )
            for row in rows:
                table.add_row(
                    escape(row["device"]) + replicas_in_words(row),
                    row["schedule"],
                    joule(row["compute"]),
                    joule(row["chip"]),
                    joule(row["system"]),
                    f"{joule(row['low'])} .. {joule(row['high'])}",
                    percent(1 - row["chip"] / row["system"]),
                    quantity(row["latency_s"], "s"),
                )
            console.print(table)
    for row in part["chips"]:
        if row["device"] == "loihi1" and row["schedule"] == "interleaved":
            told = "hops unknown: the run kept no placement" if row["hops"] is None else f"{row['hops']:,.0f} hops"
            console.print(f"Network on loihi1, one replica, an action: {row['messages']:,.0f} messages, {told}.")
    if part["update_share"] is not None:
        console.print(f"Neuron updates are {percent(part['update_share'])} of this method's synop-equivalents.")
    for row in part["placed"]:
        if row["schedule"] == "interleaved":
            console.print(
                f"placed with its loop, neurons that wait charged: {escape(str(row['method']))} {row['budget']}, "
                f"{several(row['replicas'], 'replica')}, {several(row['chips'], 'chip')}: "
                f"{joule(row['nominal'])} [{joule(row['low'])} .. "
                f"{joule(row['high'])}], {quantity(row['latency_s'], 's')}"
            )


def _gpu(part: dict[str, Any], console: Console) -> None:
    if not part["gpu"]:
        return
    table = _table(
        "GPUs at this network's size: at the peak, and with one dependent kernel a layer (a lower bound on their number): "
        "modelled",
        ("method", "device"),
        (
            "time at peak",
            "J (scope system)",
            "kernels",
            "time with launches",
            "idle W",
            "W",
            "J, idle while waiting",
            "J, full power throughout",
        ),
    )
    for row in part["gpu"]:
        table.add_row(
            escape(row["method"]),
            escape(row["device"]),
            quantity(row["roofline_s"], "s"),
            joule(row["joules"]),
            f"{row['kernels']:.0f}",
            quantity(row["launched_s"], "s"),
            DASH if row["idle_w"] is None else f"{row['idle_w']:g}",
            f"{row['power_w']:g}",
            joule(row["idle_joules"]),
            joule(row["full_joules"]),
        )
    console.print(table)
    print_measured(part["gpu"], console)


def print_measured(rows: list[dict[str, Any]], console: Console) -> None:
    """What was measured of the same plans, a line each: methods of one network differ in precision, not in MACs."""
    found = {
        (row["device"], row["plan_macs"], way["way"], way["precision"]): way for row in rows for way in row["measured"]
    }
    if not found:
        console.print(
            "[dim]No GPU was measured: `energy measure --json FILE` where there is one, then --measured FILE.[/]"
        )
    for (device, macs, way, precision), row in found.items():
        energy = f"{joule(row['nominal'])} [{joule(row['low'])} .. {joule(row['high'])}] above idle"
        console.print(
            f"measured, {escape(device)} ({escape(row['board'])}): {way}, {escape(precision)}, {macs / 1e6:.3g} M MACs "
            f"without the encoder: {energy if row['told'] else 'not told apart from idle'}, {quantity(row['seconds'], 's')}",
            highlight=False,
        )
