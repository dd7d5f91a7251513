"""What `spikeplan energy compare` does: networks of a reader on machines and systems, and who draws least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan import energy
from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.measured import read_measured
from spikeplan.energy.measured_prices import with_measured
from spikeplan.evaluation.profiles.compare import Comparison, compare
from spikeplan.evaluation.profiles.counted import Counted
from spikeplan.evaluation.profiles.loop import Loop
from spikeplan.evaluation.profiles.show import ending, tables
from spikeplan.experiments.cli.energy_devices import catalogue_of
from spikeplan.experiments.cli.energy_networks import read_files
from spikeplan.experiments.cli.place_own import Sent
from spikeplan.experiments.cli.systems_asked import rates_of, systems_of
from spikeplan.experiments.runner.output import check_outputs, write_report
from spikeplan.experiments.runner.progress import working

MOST_TOLD = 6
BOUND = "A GPU's row is a roofline: a bound that no kernel of a small network reaches. In a system it waits between kernels."
LEFT = {"name", "machine", "schedule", "system", "least with"}  # columns of words


def compare_command(
    files: Sequence[str],
    *,
    rate: str | None,
    systems: str | None,
    own: str | None,
    machines: str | None,
    loop: dict[str, Any],
    setup: dict[str, Any],
    sent: dict[str, Any],
    steps: int | None,
    measured: str | None,
    json: str | None,
    devices: str | None,
    console: Console,
) -> None:
    """`rate`, `systems`, `machines`: comma-separated. `loop`, `setup`: settings of Loop and energy.Setup."""
    if not files:
        raise UserError(
            "energy compare: name at least one file: operation counts (.json), one that makes a network (.py), an artifact, a "
            "netx or a NIR file"
        )
    given = Sent(**sent)
    check_outputs({"--json": json}, inputs=(devices, own, measured, given.recording, given.inputs, *files))
    around = Loop(**loop)
    rates = None if rate is None else rates_of(rate)
    if rates is None and (systems or own):
        raise UserError("energy compare: systems draw power at a control rate; give --rate")
    asked = None if rates is None else systems_of(systems, own)
    figures = () if measured is None else read_measured(measured)
    catalogue = with_measured(catalogue_of(devices), figures)
    with working("counting networks, measuring this CPU's rates, pricing"):
        networks = read_files(files, given, steps)
        found = compare(
            networks,
            None if machines is None else machines.split(","),
            systems=asked,
            rate_hz=rates,
            loop=around,
            catalogue=catalogue,
            measured=figures,
            setup=energy.Setup(
                cpu=None if machines and "cpu" not in machines.split(",") else energy.measure_peak(), **setup
            ),
        )
    print_comparison(found, console)
    for one in networks.values():
        for note in one.notes:
            console.print(f"{one.where}: {note}", markup=False, soft_wrap=True)
    print_refused([one for one in found.refused if _its_kind(one, networks, catalogue)], console)
    if json is not None:
        write_report(
            json,
            {
                "compare": "energy",
                "scope": "system",
                "unit": "J/action",
                **as_json(found),
                "neurobench": neurobench_of(networks),
            },
        )


def as_json(found: Comparison) -> dict[str, Any]:
    return {
        "rows": found.rows,
        "systems": found.systems,
        "by_system": found.by_system,
        "winner": found.winner,
        "refused": found.refused,
    }


def neurobench_of(networks: Mapping[str, Counted]) -> dict[str, Any]:
    """Of the networks that were profiled; counts of other simulators lack their parameters."""
    return {name: dict(one.neurobench) for name, one in networks.items() if one.neurobench}


def print_comparison(found: Comparison, console: Console) -> None:
    for head, *lines in tables(found):
        table = Table(header_style="bold")
        for name in head:
            table.add_column(name, justify="left" if name in LEFT else "right", overflow="fold")
        for line in lines:
            table.add_row(*(escape(cell) for cell in line))
        console.print(table)
    console.print(ending(found), markup=False, soft_wrap=True)
    console.print(BOUND, markup=False, soft_wrap=True)


def _its_kind(refused: dict[str, str], networks: dict[str, Counted], catalogue: Catalogue) -> bool:
    """That a dense network runs on no spiking chip, and a spiking one on nothing else, needs no line a machine."""
    device = catalogue.devices.get(refused["machine"])
    return device is None or device.spiking == networks[refused["name"]].spiking


def print_refused(refused: list[dict[str, str]], console: Console) -> None:
    told = list(dict.fromkeys((one["machine"], one["reason"]) for one in refused))
    for machine, reason in told[:MOST_TOLD]:
        console.print(f"not priced on {machine}: {reason}", markup=False, soft_wrap=True)
    if len(told) > MOST_TOLD:
        console.print(f"and {len(told) - MOST_TOLD} more; --json FILE has all of them")
