"""One run, one price: random operation counts by every way that leads to Joules or watts, all of which must agree.

    estimate    energy.estimate on the rows
    compare     spikeplan.compare on what `profile` returns
    file        the rows through a file, as `energy compare FILE` reads it
    run         the method of a results directory, as `energy report` prices it
    system      a system of that machine alone: (watts - rest) / rate + rest x latency, less what it takes to wake

`compare` on an unplaced network and `report` use the same cores: the least that hold the network.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np

from spikeplan import energy
from spikeplan.core.counts.exchange import dump_rows
from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.energy.systems import Part, System, draw_of
from spikeplan.energy.systems.states import waking
from spikeplan.evaluation.pricing.price import Pricing
from spikeplan.evaluation.pricing.runs import PricedRun
from spikeplan.evaluation.profiles import Profile, compare
from spikeplan.evaluation.profiles.files import read_networks
from spikeplan.evaluation.rows import OpCountsRow
from spikeplan.experiments.bench.rows import BenchRow

DRAWS, SEED = 50, 0
RATE_HZ = 0.01
ON_THEIR_OWN = {"loihi2": "idle", "gap9": "sleep"}  # priced as a system too, at rest in that state
PLACES = {True: ("loihi2", "loihi1", "hala_point"), False: ("orin_nano", "h100", "gap9", "jepa_r")}
TOLERANCE = 1e-12  # sums in another order


def random_counts(rng: np.random.Generator, *, spiking: bool) -> OperationCounts:
    """One to four layers of one to 400 neurons, some calls and some actions."""
    sizes = rng.integers(1, 400, rng.integers(2, 6))
    counts = OperationCounts(
        method="sigma_delta" if spiking else "dense",
        reference="zero",
        precision="int8",
        spiking=spiking,
        sequential_steps=len(sizes) - 1,
    )
    calls = int(rng.integers(1, 500))
    for number, (n_in, n_out) in enumerate(pairwise(sizes)):
        macs = calls * int(n_in) * int(n_out)
        active = int(rng.integers(0, calls * n_out + 1))
        if spiking:
            layer = LayerCounts(
                layer=f"h{number}",
                synops=int(rng.integers(1, macs + 1)),
                updates=calls * int(n_out),
                updates_active=active,
                messages=active,
                message_bits=active,
                dense_macs=macs,
                calls=calls,
            )
        else:
            layer = LayerCounts(
                layer=f"h{number}", macs=macs, dense_macs=macs, calls=calls, state_reads=calls * int(n_in)
            )
        counts.add("predictor", layer)
        counts.set_memory(f"h{number}", weight_bytes=int(n_in * n_out), state_bytes=6 * int(n_out) if spiking else 0)
    counts.actions = int(rng.integers(1, 20))
    return counts


def prices(counts: OperationCounts, device: str, schedule: str) -> Iterator[tuple[str, tuple[float, ...]]]:
    """(way, J an action: nominal, low, high). Of a system nominal alone: static power moves in what is taken off."""
    graded = not energy.default().device(device).graded_messages
    setup = energy.Setup(assume_graded=graded)
    rows, actions = counts.rows(schedule), counts.actions
    yield "estimate", _bounds(energy.estimate(device, rows, actions, scope="system", extent="loop", setup=setup))
    table = compare({"mine": Profile(counts)}, [device])
    for row in table.rows:  # one candidate fills no pipeline: interleaved is not offered there
        if row["schedule"] == schedule:
            yield "compare", _of_row(row)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.json"
        path.write_text(json.dumps(dump_rows(rows, actions)))
        yield "file", _of_row(compare(read_networks([str(path)]), [device]).rows[0])
    yield "run", _bounds(Pricing(catalogue=energy.default()).price(as_run(counts), device, schedule))
    if device in ON_THEIR_OWN:
        yield "system", (_by_system(counts, device, schedule),)


def _bounds(found: energy.Energy) -> tuple[float, ...]:
    return found.nominal, found.low, found.high


def _of_row(row: dict[str, Any]) -> tuple[float, ...]:
    return row["joules"], row["low"], row["high"]


def as_run(counts: OperationCounts) -> PricedRun:
    """The counts as a results directory has them."""
    row = OpCountsRow(
        task="mine",
        method=counts.method,
        family="spiking" if counts.spiking else "dense",
        budget="",
        reference="zero",
        threshold=None,
        role="headline",
        success=1.0,
        episodes=1,
        ci95=(0.0, 1.0),
        paired_vs_dense=None,
        evaluations=1,
        samples=1,
        op_counts=counts,
    )
    return PricedRun(row=row)


def _by_system(counts: OperationCounts, device: str, schedule: str) -> float:
    """Energy of an action out of the watts of a system that is this machine alone, less what it takes to wake."""
    side = "spiking" if counts.spiking else "dense"
    alone = Part(device=device, does="plan", rest=ON_THEIR_OWN[device])
    system = System(name="one", title="one machine", side=side, parts=(alone,))
    rows, catalogue = counts.rows(schedule), energy.default()
    drawn = draw_of(system, rows, counts.actions, rate_hz=RATE_HZ, catalogue=catalogue)
    rest = sum(band.nominal for band in drawn.rests.values())
    busy = drawn.latency_s.nominal
    woken, _ = waking(catalogue.device(device), ON_THEIR_OWN[device])
    return float((drawn.watts.nominal - rest) / RATE_HZ + rest * busy - woken.nominal)


def price_rows(seed: int = SEED, draws: int = DRAWS) -> list[BenchRow]:
    """How many prices of random counts differ from `energy.estimate`'s."""
    rng = np.random.default_rng(seed)
    different, asked, first = 0, 0, ""
    for number in range(draws):
        counts = random_counts(rng, spiking=number % 2 == 0)
        for device in PLACES[counts.spiking]:
            for schedule in Profile(counts).schedules:
                (_, base), *others = prices(counts, device, schedule)
                for way, joules in others:
                    loose = 1e-6 if way == "system" else TOLERANCE  # watts less static power: digits cancel
                    for one, other in zip(joules, base, strict=False):
                        asked += 1
                        if not isclose(one, other, rel_tol=loose):
                            different += 1
                            first = first or f"; the first: {way} on {device}, {schedule}: {one:.6g} for {other:.6g} J"
    return [
        BenchRow(
            name="prices_different",
            ours=different,
            unit=f"of {asked:,} prices of {draws} random counts{first}",
            goal="0",
            holds=different == 0,
        )
    ]
