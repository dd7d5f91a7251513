"""The tables and sentences of `spikeplan place`, from what its JSON holds."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.core.format import quantity, several

EXTENTS = {"predictor": "predictor alone", "loop": "whole loop (encoder on the host)"}


def print_facts(facts: dict[str, Any], console: Console) -> None:
    for extent in EXTENTS:
        if facts[extent] is not None:
            console.print(cores_table(facts, extent))
    if facts["loop_absent"]:
        console.print(f"The loop: {facts['loop_absent']}.")
    for row in facts["broken"]:
        console.print(f"[red]{escape(row['text'])}[/]", soft_wrap=True)
    if facts["missed"]:
        console.print(f"[red]{facts['missed']}[/]", soft_wrap=True)
    if facts["choice"]:
        console.print(chosen(facts["choice"]), soft_wrap=True)
    timed = [extent for extent in EXTENTS if facts[extent] and facts[extent]["time"]]
    if timed:
        console.print(prediction_table(facts, timed))
        console.print(action_table(facts, timed))
        console.print(against_dense(facts, timed[-1]), soft_wrap=True)
    console.print(f"Assumed, not published: {'; '.join(facts['assumed'])}. Simulated: {facts['simulated']}.")


def chosen(choice: dict[str, Any]) -> str:
    """Which placement a search took, and what came next."""

    def said(one: dict[str, Any]) -> str:
        size = f"{several(one['cores'], 'core')} of {several(one['chips'], 'chip')}"
        return (
            f"{several(one['replicas'], 'replica')} at spread {one['spread']} ({size}, {quantity(one['time_s'], 's')}, "
            f"{quantity(one['joules'], 'J')})"
        )

    after = f"; next best: {said(choice['next'])}" if choice["next"] else "; no other was found"
    return f"Taken for {choice['objective']}: {said(choice['taken'])}{after}."


def cores_table(facts: dict[str, Any], extent: str) -> Table:
    one = facts[extent]
    replicas = f"{facts['replicas']} {'replica' if facts['replicas'] == 1 else 'replicas'}"
    table = Table(
        title=f"{facts['chip']}, {EXTENTS[extent]}: {one['cores']} neurocores on {one['chips']} chip(s), {replicas}; at 80 % "
        f"packing {one['cores_at_80_percent']} on {one['chips_at_80_percent']}. One replica, fullest core:"
    )
    for name in ("layer", "cores", "neurons", "weights, B", "states, B", "axons in", "axons out"):
        table.add_column(name, justify="left" if name == "layer" else "right")
    for row in one["groups"]:
        table.add_row(
            row["name"],
            "shared" if row["shares"] else str(row["cores"]),
            f"{row['neurons']:,}",
            f"{row['weight_bytes']:,}",
            f"{row['state_bytes']:,}",
            f"{row['axons_in']:,}",
            f"{row['axons_out']:,}",
        )
    return table


def prediction_table(facts: dict[str, Any], extents: list[str]) -> Table:
    table = Table("", "pipelined: one every", "out after", "fall-through", "the step is set by", title="One prediction")
    for extent in extents:
        t = facts[extent]["prediction"]["nominal"]
        table.add_row(
            extent,
            *(f"{t[key] * 1e6:.2f} us" for key in ("every_s", "pipelined_latency_s", "fall_through_s")),
            t["slowest"],
        )
    return table


def action_table(facts: dict[str, Any], extents: list[str]) -> Table:
    table = Table(
        "",
        "schedule",
        "chip steps (selection)",
        "action, ms",
        "energy, mJ (scope system)",
        "of it static",
        title=f"One action: CEM {facts['budget']}, {several(facts['replicas'], 'replica')}, the {facts['select_on']} selects",
    )
    for extent in extents:
        for schedule, bands in facts[extent]["time"].items():
            e = facts[extent]["energy"][schedule]
            standing = 1 - e["without_static"]["nominal"] / e["nominal"]
            table.add_row(
                extent,
                schedule,
                f"{bands['nominal']['steps']:,} ({bands['nominal']['selection']:,})",
                band({b: bands[b]["action_s"] for b in ("low", "nominal", "high")}),
                band(e),
                f"{standing:.0%}",
            )
    return table


def band(values: dict[str, Any]) -> str:
    return f"{values['nominal'] * 1e3:.3g} ({values['low'] * 1e3:.3g} .. {values['high'] * 1e3:.3g})"


def against_dense(facts: dict[str, Any], extent: str) -> str:
    """Where the placement stands against the latency budgets and the dense devices, losses first."""
    one = facts[extent]
    time = {name: bands["nominal"]["action_s"] for name, bands in one["time"].items()}
    schedule = min(time, key=lambda name: (time[name], name))
    said = [f"{time[schedule] * 1e3:.3g} ms an action ({extent}, {schedule})"]
    for name, limit in facts["budgets_s"].items():
        word = "within" if time[schedule] <= limit else "beyond"
        said.append(f"{word} the {limit * 1e3:,.0f} ms of {name}")
    joules = one["energy"][schedule]["nominal"]
    sides: dict[str, list[str]] = {"lose": [], "win": []}
    for device, e in one["dense"].items():
        ratio = joules / e["nominal"]
        sides["lose" if ratio > 1 else "win"].append(
            f"{device} {e['nominal'] * 1e3:.3g} mJ ({ratio:.3g} x)"
            if ratio > 1
            else f"{device} {e['nominal'] * 1e3:.3g} mJ (1 / {1 / ratio:.3g})"
        )
    words = [f"Spikes {side} against {', '.join(names)}" for side, names in sides.items() if names]
    return (
        f"{'; '.join(said)}. {joules * 1e3:.3g} mJ. {'. '.join(words)}: the same network dense in int8, the same candidates, "
        "GPUs at peak rates."
    )


def print_sweep(facts: dict[str, Any], console: Console) -> None:
    rows = facts["sweep"]
    if not rows:
        console.print("No placement of the sweep holds every limit.")
        return
    table = Table(
        "replicas",
        "spread",
        "cores",
        "chips (80 %)",
        "sequential, ms",
        "interleaved, ms",
        "its energy, mJ",
        "static",
        title=f"Replicas and spread, {EXTENTS[rows[0]['extent']]}; * on the front cores / time",
    )
    for row in rows:
        if row["spread"] != facts["spread"] and not row["front"]:
            continue
        e = row["interleaved"]
        table.add_row(
            str(row["replicas"]),
            str(row["spread"]),
            f"{row['cores']}{' *' if row['front'] else ''}",
            f"{row['chips']} ({row['chips_at_80_percent']})",
            band(row["sequential"]["action_s"]),
            band(e["action_s"]),
            band(e["energy"]),
            f"{1 - e['without_static']['nominal'] / e['energy']['nominal']:.0%}",
        )
    console.print(table)
