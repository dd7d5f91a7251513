"""The table of `spikeplan place` for a network of one's own, from what its JSON holds."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.core.format import quantity, several
from spikeplan.experiments.report.terminal.placement import chosen

SHOWN = 5  # dense machines


def print_own(facts: dict[str, Any], console: Console) -> None:
    for note in facts["notes"]:
        console.print(note, markup=False)
    console.print(own_table(facts))
    for row in facts["broken"]:
        console.print(f"[red]{escape(row['text'])}[/]", soft_wrap=True)
    for text in facts["warnings"]:
        console.print(f"[yellow]{escape(text)}[/]", soft_wrap=True)
    if facts["missed"]:
        console.print(f"[red]{escape(facts['missed'])}[/]", soft_wrap=True)
    if facts["choice"]:
        console.print(chosen(facts["choice"]), soft_wrap=True)
    if facts["sweep"]:
        console.print(tried_table(facts))
    if facts["dense"]:
        console.print(against(facts), soft_wrap=True)
    assumed = "; ".join(facts["assumed"])
    console.print(f"Assumed, not published: {assumed}. Nothing here ran on a chip.", soft_wrap=True)


def own_table(facts: dict[str, Any]) -> Table:
    table = Table(title=f"{escape(facts['network'])} on {facts['chip']}", show_header=False)
    recording = facts["recording"]
    table.add_row("network", f"{facts['neurons']:,} neurons, {facts['weights']:,} weights")
    table.add_row("placed", size(facts))
    table.add_row(
        "sent",
        f"{recording['rate']:.3g} messages per neuron and step ({escape(recording['from'])}"
        f"{'' if recording['steps'] == 1 else ', ' + several(recording['steps'], 'step')})",
    )
    step, time = facts["step"], facts["time"]
    if step is None:
        return table
    at = step["busiest"]
    table.add_row("busiest core", f"{step['synops']:,.0f} synops a step ({escape(at['layer'])}, core {at['core']})")
    table.add_row("fullest core", f"{step['updates']:,} updates a step")
    table.add_row("busiest link", f"{step['link_messages']:,.0f} messages a step")
    part, share = max(step["set_by"].items(), key=lambda one: one[1])
    table.add_row("a step", f"{band(step['seconds'], 's')}, set by {part} in {share:.0%} of them")
    table.add_row("", band(step["joules"], "J"))
    after = f"its effect on the output after {quantity(time['latency']['nominal'], 's')}"
    table.add_row(f"an inference, {several(facts['steps'], 'step')}", f"{band(time['inference'], 's')}, {after}")
    static = 1 - facts["energy"]["without_static"]["nominal"] / facts["energy"]["nominal"]
    table.add_row("", f"{band(facts['energy'], 'J')}, {static:.0%} of it static")
    if facts["batch"] > 1:
        table.add_row(f"a batch of {facts['batch']:,}", band(time["batch"], "s"))
    return table


def size(facts: dict[str, Any]) -> str:
    return (
        f"{several(facts['cores'], 'core')} of {several(facts['chips'], 'chip')}, "
        f"{several(facts['replicas'], 'replica')}, spread {facts['spread']}; at 80 % packing "
        f"{facts['cores_at_80_percent']:,} of {facts['chips_at_80_percent']:,}"
    )


def band(values: dict[str, Any], unit: str) -> str:
    low, nominal, high = (quantity(values[bound], unit) for bound in ("low", "nominal", "high"))
    return nominal if low == high else f"{nominal} ({low} .. {high})"


def tried_table(facts: dict[str, Any]) -> Table:
    table = Table("replicas", "spread", "cores", "chips", "time of the batch", "an inference", title="Placements tried")
    for row in facts["sweep"]:
        table.add_row(
            *(f"{row[key]:,}" for key in ("replicas", "spread", "cores", "chips")),
            quantity(row["time_s"], "s"),
            quantity(row["joules"], "J"),
        )
    return table


def against(facts: dict[str, Any]) -> str:
    """The same layers dense in int8, cheapest machines first."""
    dense, joules = facts["dense"], facts["energy"]["nominal"]
    said = []
    for name, e in list(dense["machines"].items())[:SHOWN]:
        ratio = joules / e["nominal"]
        times = f"{ratio:.3g} x" if ratio >= 1 else f"1 / {1 / ratio:.3g}"
        word = ", hypothetical" if e["hypothetical"] else ""
        said.append(f"{name} {quantity(e['nominal'], 'J')} (spikes take {times}{word})")
    of = f"{dense['macs']:,} MACs, {dense['weight_bytes']:,} bytes of weights, {several(dense['passes'], 'pass', 'passes')}"
    machines = "; ".join(said) or "no machine of the catalogue can be priced"
    return f"The same layers dense in int8 ({of} an inference): {machines}. GPUs at peak rates."
