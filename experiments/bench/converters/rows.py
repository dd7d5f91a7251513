"""`spikeplan bench converters`: our recipes beside SpikingJelly's converter and sinabs', on the same trained networks and rows.

    CASE_trained            error of the trained network itself, so that the rest is seen in proportion
    CASE_ours_RECIPE        least error of each of our recipes, at its operations
    CASE_PEER_tT            our error, by any recipe, at the operations that the peer takes in T steps; other: the peer's error
                            as it comes, with float32 weights, where ours have 8 bits
    CASE_PEER_tT_8bit       the same with the peer's weights rounded to 8 bits
    CASE_PEER_tT_binary     as _8bit, where ours sends spikes of 0 and 1 alone (inputs may be graded, as theirs are)

What an operation is: counting.py. The peer's setting at T steps is one that none of its others beats in both figures; where there
are several, the one of least error. Ours is that of the best recipe at as many operations, between two settings of one recipe on
a line through their logarithms. Where the peer takes more than a recipe's dearest setting, that one counts; where it takes less
than our cheapest, there is no figure and no goal.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from spikeplan.conversion.tracing import AffineNet
from spikeplan.evaluation.shard import one_thread
from spikeplan.experiments.bench.converters.counting import Point, affine_of
from spikeplan.experiments.bench.converters.networks import CASES, Case, case
from spikeplan.experiments.bench.converters.ours import best_at, conversions, front
from spikeplan.experiments.bench.converters.theirs import PEERS, TIMES, points_of
from spikeplan.experiments.bench.peers.rows import NotInstalledError
from spikeplan.experiments.bench.rows import BenchRow, quotient
from spikeplan.experiments.runner.progress import progress_bar

SHOWN = (4, 16, 64)  # steps of a peer
GOAL = "ours <= theirs"
PERCENT = 100.0


def bench_converters(
    console: Console,
    *,
    made: Sequence[Callable[[Case, AffineNet], Point]] | None = None,
    times: tuple[int, ...] = TIMES,
    shown: tuple[int, ...] = SHOWN,
    steps: int | None = None,
) -> list[BenchRow]:
    """Every row. `made`: our conversions; `times`, `shown`: steps that peers run, and have rows; `steps`: of the training."""
    one_thread()
    ours_made, rows = conversions() if made is None else made, list[BenchRow]()
    with progress_bar(console) as bar, tempfile.TemporaryDirectory() as folder:
        ticks = bar.add_task("bench converters", total=len(CASES) * (len(ours_made) + len(PEERS)))
        for name in CASES:
            one = case(name, steps=steps)
            net = affine_of(one)
            rows.append(trained_row(one))
            ours = []
            for make in ours_made:
                ours.append(make(one, net))
                bar.advance(ticks)
            rows += least_rows(name, ours)
            for peer in PEERS:
                try:
                    theirs = points_of(peer, one, net, Path(folder) / name, times)
                except NotInstalledError as missing:
                    rows.append(BenchRow(name=f"{name}_{peer}", ours=None, unit=str(missing), goal=GOAL))
                else:
                    rows += [row for t in shown for row in compared_rows(name, peer, t, theirs, ours)]
                bar.advance(ticks)
    return rows


def trained_row(one: Case) -> BenchRow:
    return BenchRow(
        name=f"{one.name}_trained",
        ours=PERCENT * one.error,
        unit=f"% of the variance, error of the dense network on {len(one.held_out.latent_ND)} rows held out",
    )


def least_rows(name: str, ours: Sequence[Point]) -> list[BenchRow]:
    """The point of least error of each recipe, and whether another recipe's point is better in both figures."""
    best, rows = front(ours), []
    for recipe in dict.fromkeys(point.recipe for point in ours):
        least = min((point for point in ours if point.recipe == recipe), key=lambda point: point.error)
        where = "" if least in best else "; another of ours beats it in both"
        rows.append(
            BenchRow(
                name=f"{name}_ours_{recipe}",
                ours=PERCENT * least.error,
                unit=f"% of the variance at {least.operations:,.0f} operations: {least.label}{where}",
            )
        )
    return rows


def chosen(theirs: Sequence[Point], time_steps: int) -> Point:
    """The peer's point at so many steps."""
    candidates = [point for point in theirs if point.time_steps == time_steps]
    unbeaten = [point for point in front(theirs) if point.time_steps == time_steps]
    return min(unbeaten or candidates, key=lambda point: point.error)


def compared_rows(
    name: str, peer: str, time_steps: int, theirs: Sequence[Point], ours: Sequence[Point]
) -> list[BenchRow]:
    """As it comes, with weights of 8 bits, and with those of ours alone whose spikes are 0 or 1."""
    binary = [point for point in ours if point.binary]
    rows = []
    for suffix, bits, mine in (("", 32, ours), ("_8bit", 8, ours), ("_binary", 8, binary)):
        its = chosen([point for point in theirs if point.weight_bits == bits], time_steps)
        error, what = best_at(mine, its.operations)
        rows.append(
            BenchRow(
                name=f"{name}_{peer}_t{time_steps}{suffix}",
                ours=None if error is None else PERCENT * error,
                other=PERCENT * its.error,
                ratio=quotient(error, its.error),
                unit=f"% of the variance at {its.operations:,.0f} operations: {what}; {peer}: {its.label}",
                goal=None if error is None else GOAL,
                holds=None if error is None else error <= its.error,
            )
        )
    return rows
