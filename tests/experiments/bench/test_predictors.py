"""`bench predictors`: converted predictors beside their dense selves, chosen on other episodes than reported."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from spikeplan.conversion.recipes.delta_transformer import DeltaTransformer
from spikeplan.conversion.recipes.matmul_free import MatMulFree
from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.experiments.bench.predictors import Case, bench_predictors
from spikeplan.experiments.bench.predictors.compare import Setting, rows_of
from spikeplan.experiments.bench.predictors.measured import Planned, kind_of

CASE = Case(name="x", kind="gated", points=-0.03, settings=(Setting(recipe=DeltaTransformer()),))


def planned(won: int, synops: int) -> Planned:
    row = CountRow(
        method="m",
        phase="predictor",
        layer="blocks.1.out",
        reference="zero",
        schedule="interleaved",
        synops=synops,
        dense_macs=400,
    )
    return Planned(success_N=np.array([1.0] * won + [0.0] * (200 - won)), rows=(row,), actions=1)


def test_points_are_paired_and_the_worst_seed_is_named() -> None:
    dense = [planned(190, 400)] * 3
    rows = {
        row.name: row
        for row in rows_of(CASE, CASE.settings[0], [planned(n, 100) for n in (190, 188, 180)], dense, dense[0])
    }
    assert rows["x_points"].ours == pytest.approx(-12 / 600) and rows["x_points_worst"].ours == pytest.approx(-0.05)
    assert not rows["x_points_worst"].holds and rows["x_equivalents"].ratio == 0.25
    assert rows["x_density_blocks.out"].ours == 0.25
    two = rows_of(CASE, CASE.settings[0], [planned(190, 100)] * 2, dense[:2], dense[0])
    assert two[0].holds is None, "two training seeds are too few"


def test_layers_of_one_kind_are_named_alike() -> None:
    assert kind_of("blocks.11.attn.qkv") == "blocks.attn.qkv" and kind_of("mul (mul_3)") == "mul"


def test_a_seed_without_the_predictor_is_one_line(tmp_path: object) -> None:
    with pytest.raises(
        UserError, match="two-room.gated.safetensors: no such file; make it with `spikeplan train --task keep-out"
    ):
        bench_predictors(Console(file=StringIO()), [str(tmp_path)], cases=[CASE])


@pytest.mark.slow
def test_shipped_predictors_are_converted_and_plan() -> None:
    cases = [
        Case(name="t", kind="transformer", points=-1.0, settings=(Setting(recipe=DeltaTransformer(thresholds=0.05)),)),
        Case(name="g", kind="gated", points=-1.0, settings=(Setting(recipe=MatMulFree(steps=150)),)),
    ]
    rows = {row.name: row for row in bench_predictors(Console(file=StringIO()), cases=cases, episodes=12, recorded=4)}
    assert "success" in rows["t_points"].unit and rows["t_points"].holds is None
    found = rows["t_points"].ours
    assert found is not None and abs(found) < 0.5, "it plans as its dense self does, but for a few of 12"
    assert {"t_density_blocks.attn.qkv", "g_density_mixers.fcg"} <= rows.keys()
    for name in ("t", "g"):
        ours, anew = rows[f"{name}_equivalents"], rows[f"{name}_anew"]
        assert ours.ours is not None and anew.ours is not None and 0 < anew.ours < ours.ours
