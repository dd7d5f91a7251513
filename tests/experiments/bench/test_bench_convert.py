"""`bench convert`: rows of every part, at a size of seconds; no row is held to a time here."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from spikeplan.core import delta_pass
from spikeplan.experiments.bench import convert, simulation_speed
from spikeplan.experiments.bench.plan import BENCHES
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.bench.simulation_speed import COMPARISONS, FEW, cem, crossing
from spikeplan.experiments.bench.simulation_speed import simulation_speed as rows_of
from spikeplan.snn import delta, lif

UNGOALED = ("guided_vs_dense_3", "delta_vs_torch_256", "guided_vs_product_3")
CONSOLE = Console(file=StringIO(), width=200)


def small() -> list[BenchRow]:
    """A row of each kind."""
    chosen = [one for one in COMPARISONS if one.name in ("delta_vs_dense_800", *UNGOALED, "lif_vs_dense_256")]
    few = [one if one.planner == FEW else replace(one, planner=cem(16)) for one in chosen]
    return rows_of(CONSOLE, comparisons=few, pairs=1, shapes=((8, 4),), rows=(2, 16), layer_pairs=1)


def test_plans_are_held_against_dense_and_layers_against_their_product() -> None:
    pytest.importorskip("numba")
    rows = {row.name: row for row in small()}
    assert list(rows) == [
        "delta_vs_dense_800",
        "lif_vs_dense_256",
        *UNGOALED,
        "break_even_8x4_rows2",
        "break_even_8x4_rows16",
    ]
    goals = {"delta_vs_dense_800": 2.0, "lif_vs_dense_256": 3.0, **dict.fromkeys(UNGOALED)}
    for name, goal in goals.items():
        row = rows[name]
        assert row.ours and row.other and row.ratio == pytest.approx(row.ours / row.other), "a median of one pair"
        assert row.holds is (None if goal is None else row.ratio <= goal)
        assert row.goal == (None if goal is None else f"<= {goal:g} times dense")
    for name in ("break_even_8x4_rows2", "break_even_8x4_rows16"):
        assert rows[name].ours is not None and 0 <= rows[name].ours <= 1 and 0 <= rows[name].other <= 1


def test_without_numba_what_needs_it_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (simulation_speed, delta, lif):
        monkeypatch.setattr(module, "compiled", lambda: None)
    rows = {row.name: row for row in small()}
    assert rows["delta_vs_dense_800"].ours, "the plan itself runs in torch"
    for name in ("delta_vs_torch_256", "guided_vs_product_3", "break_even_8x4_rows2"):
        assert rows[name].ours is None and "numba is not installed" in rows[name].unit


def test_a_break_even_lies_where_the_ratio_reaches_one() -> None:
    densities = (0.1, 0.2, 0.4)
    assert crossing(densities, (0.5, 0.8, 1.2)) == pytest.approx(0.3)
    assert crossing(densities, (1.5, 0.8, 1.2)) == 0.0
    assert crossing(densities, (0.5, 0.8, 0.9)) == 1.0


def test_what_a_plan_did_without_is_there_again() -> None:
    pytest.importorskip("numba")
    before = delta.compiled, lif.compiled, delta_pass.break_even, lif.break_even
    small()
    assert before == (delta.compiled, lif.compiled, delta_pass.break_even, lif.break_even)


def test_every_part_gives_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (BenchRow(name=name, ours=1.0, unit="s") for name in ("a", "b"))
    monkeypatch.setattr(convert, "PARTS", (lambda console: [first],))
    monkeypatch.setattr(convert, "FILE_PARTS", (lambda console, files: [second],))
    assert BENCHES["convert"](CONSOLE) == [first, second]
