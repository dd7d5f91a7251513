"""One run, one price: random operation counts by every way that leads to Joules or watts, all of which must agree.

    estimate    energy.estimate on the rows
    compare     spikeplan.compare on what `profile` returns
    file        the rows through a file, as `energy compare FILE` reads it
    run         the method of a results directory, as `energy report` prices it
    system      a system of one chip: (watts - static power) / rate + static power x latency

`compare` on an unplaced network and `report` use the same cores: the least that hold the network.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from math import isclose
from pathlib import Path

import numpy as np

from spikeplan import energy
from spikeplan.core.counts.exchange import dump_rows
from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.energy.systems import Part, System, draw_of
from spikeplan.evaluation.pricing.price import Pricing
from spikeplan.evaluation.pricing.runs import PricedRun
from spikeplan.evaluation.profiles import Profile, compare
from spikeplan.evaluation.profiles.files import read_networks
from spikeplan.evaluation.rows import OpCountsRow
from spikeplan.experiments.bench.rows import BenchRow

DRAWS, SEED = 50, 0
RATE_HZ = 0.01
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


def prices(counts: OperationCounts, device: str, schedule: str) -> Iterator[tuple[str, float]]:
    """(way, J an action)."""
    graded = not energy.default().device(device).graded_messages
    setup = energy.Setup(assume_graded=graded)
    rows, actions = counts.rows(schedule), counts.actions
    yield "estimate", energy.estimate(device, rows, actions, scope="system", extent="loop", setup=setup).nominal
    table = compare({"mine": Profile(counts)}, [device])
    for row in table.rows:  # one candidate fills no pipeline: interleaved is not offered there
        if row["schedule"] == schedule:
            yield "compare", row["joules"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.json"
        path.write_text(json.dumps(dump_rows(rows, actions)))
        yield "file", compare(read_networks([str(path)]), [device]).rows[0]["joules"]
    yield "run", Pricing(catalogue=energy.default()).price(as_run(counts), device, schedule).nominal
    if device == "loihi2":
        yield "system", _by_system(counts, device, schedule)


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
    """Energy of an action out of the watts of a system that is this machine alone."""
    side = "spiking" if counts.spiking else "dense"
    system = System(name="one", title="one machine", side=side, parts=(Part(device=device, does="plan", rest="idle"),))
    rows, catalogue = counts.rows(schedule), energy.default()
    drawn = draw_of(system, rows, counts.actions, rate_hz=RATE_HZ, catalogue=catalogue)
    rest = sum(band.nominal for band in drawn.rests.values())
    busy = drawn.latency_s.nominal
    return float((drawn.watts.nominal - rest) / RATE_HZ + rest * busy)


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
                    asked += 1
                    loose = 1e-6 if way == "system" else TOLERANCE  # watts less static power: digits cancel
                    if not isclose(joules, base, rel_tol=loose):
                        different += 1
                        first = first or f"; the first: {way} on {device}, {schedule}: {joules:.6g} for {base:.6g} J"
    return [
        BenchRow(
            name="prices_different",
            ours=different,
            unit=f"of {asked:,} prices of {draws} random counts{first}",
            goal="0",
            holds=different == 0,
        )
    ]
