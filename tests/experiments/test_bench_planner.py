"""The rows of `bench planner`, from runs made by hand: which point they pick, and that a ratio counts only at equal success."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import DirectConfig, GuidedConfig
from spikeplan.evaluation.aggregate import Run, group, pooled
from spikeplan.evaluation.bundle import derived
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.shard import Job, run_job
from spikeplan.experiments.bench import planner
from spikeplan.experiments.bench.plan import bench_command
from spikeplan.experiments.bench.planner_rows import (
    DENSE,
    SPIKING,
    keep_out_rows,
    keep_out_seed_rows,
    less,
    point_rows,
    shares,
    two_room_rows,
)
from spikeplan.worldmodel.checkpoint import load_model, save_model, shipped

EPISODES = 100


def run(success: float, operations: int, *, spiking: bool = False) -> Run:
    """`operations`: MACs of a dense run, synops of a spiking one, per action; the encoder's million must not be seen."""
    method = "sigma_delta" if spiking else "dense"
    counts = OperationCounts(method=method, reference="zero", precision="int8", spiking=spiking)
    work = {"synops": operations} if spiking else {"macs": operations}
    counts.add("predictor", LayerCounts(layer="h1", dense_macs=operations, calls=1, **work), iteration=0, step=0)
    counts.add("encoder", LayerCounts(layer="encoder", macs=1_000_000))
    counts.actions = 1
    won = np.zeros((1, EPISODES))
    won[0, : round(success * EPISODES)] = 1
    job = Job(task="keep-out", method=method, role="", planner=DirectConfig(), episodes=EPISODES, count=EPISODES)
    return Run(job, won, counts, 0.0, None, family="spiking" if spiking else "dense")


def keep_out(spiking: float, large: float = 0.1, *, narrow: float = 0.5) -> dict:
    """`narrow`: success of the dense narrow network, which takes 60 operations."""
    runs = {"policy": run(0.1, 10), "budget5-0": run(0.4, 50), "budget5-1": run(0.3, 50)}
    runs |= {"dense-cem": run(0.8, 1000), "dense-refined": run(0.93, 400), "dense-refined-large": run(0.95, 2000)}
    runs |= {"dense-refined-narrow-96": run(narrow, 60), "on-chip": run(1.0, 1, spiking=True)}
    spikes = {"spiking-96": run(spiking, 100, spiking=True), "spiking-96-large": run(large, 300, spiking=True)}
    return {row.name: row for row in keep_out_rows(runs | spikes)}


def test_a_keep_out_row_is_held_against_the_best_and_the_cheapest() -> None:
    rows = keep_out(0.95)
    assert rows["keepout_policy_gap"].ours == pytest.approx(0.85) and rows["keepout_policy_gap"].holds
    assert rows["keepout_budget5_gap"].ours == pytest.approx(0.55), "the best spending of 5 %"
    assert (rows["keepout_dense"].ours, rows["keepout_dense"].other) == (0.95, 0.8)
    ratio = rows["keepout_equivalents_ratio"]
    assert ratio.other == 400, "the cheapest dense planner within three points of the best, not the best"
    assert ratio.ratio == pytest.approx(0.25) and ratio.holds


def test_a_narrow_dense_network_is_an_opponent_where_it_plans_as_well() -> None:
    ratio = keep_out(0.95, narrow=0.92)["keepout_equivalents_ratio"]
    assert (ratio.ours, ratio.other) == (100, 60) and not ratio.holds
    assert keep_out(0.95, narrow=0.91)["keepout_equivalents_ratio"].other == 400, "four points below the best"


def test_every_guided_network_is_planned_at_every_budget() -> None:
    """Dense and spiking alike, of the same widths; each point's name tells its side, and its method is of that side."""
    points = planner._keep_out()
    sides = {
        side: [(name, method) for name, (method, _) in points.items() if name.startswith(side)]
        for side in (DENSE, SPIKING)
    }
    assert all(not METHODS[method].spiking for _, method in sides[DENSE])
    assert all(METHODS[method].spiking for _, method in sides[SPIKING])
    for kind, whole in (("guided-narrow", "guided"), ("guided-sigma_delta", "guided-sigma_delta")):
        for method in (whole, *(f"{kind}-{width}" for width in (64, 96, 128))):
            labels = [settings.label for used, settings in points.values() if used == method]
            assert labels == [f"guided {budget} + 0.15 V" for budget in ("5 H3", "8 H4", "5 H2")]
    binary = [settings.label for used, settings in points.values() if used == "guided-lif"]
    assert binary == labels, "LIF at every budget, too"
    searches = {method for _, method in sides[DENSE]} - {method for method, _ in points.values() if "guided" in method}
    assert searches == {"dense", "gradient-narrow-96", "refined-narrow-128"}, (
        "dense planners that spikes have no match for"
    )


def test_by_bounds_the_dense_side_is_asked_what_the_spiking_side_is() -> None:
    """The narrow network loses 3 of 100 episodes: its mean suffices, its lower bound does not."""
    rows = keep_out(0.95, narrow=0.92)
    strict = rows["keepout_equivalents_ratio_by_bounds"]
    assert rows["keepout_equivalents_ratio"].other == 60 and (strict.ours, strict.other) == (100, 2000)
    assert strict.holds is None, "told, not asked"


def test_training_seeds_are_pooled_and_told_one_by_one() -> None:
    seeds = [
        {f"{DENSE}refined": run(dense, 100), f"{SPIKING}96": run(spiking, 40 * i, spiking=True)}
        for i, (dense, spiking) in enumerate(((0.9, 0.8), (0.8, 0.9)), 1)
    ]
    over_all = {name: pooled([one[name] for one in seeds]) for name in seeds[0]}
    dense, spiking = over_all.values()
    assert dense.success_KN.shape == (2, EPISODES) and dense.success_KN.mean() == pytest.approx(0.85)
    assert spiking.op_counts is not None and spiking.op_counts.actions == 2
    rows = keep_out_rows(over_all | dict.fromkeys(("policy", "budget5-0", f"{DENSE}cem"), run(0.1, 10)))
    ratio = next(row for row in rows if row.name == "keepout_equivalents_ratio")
    assert (ratio.ours, ratio.other) == (60, 100), "the mean of both seeds"
    told = keep_out_seed_rows(seeds, over_all)
    assert [(row.name, row.ours, row.other) for row in told] == [
        ("keepout_seed0", 0.8, 0.9),
        ("keepout_seed1", 0.9, 0.8),
    ]
    with pytest.raises(ValueError, match="several points"):
        pooled([run(0.9, 100), run(0.9, 100, spiking=True)])


def test_every_point_is_told_with_what_it_takes() -> None:
    runs = {f"{DENSE}refined": run(0.9, 2_000_000), f"{SPIKING}96": run(0.9, 500_000, spiking=True)}
    dense, spiking = point_rows("keepout", runs | {"on-chip": run(1.0, 1, spiking=True)}, f"{DENSE}refined")
    assert (dense.name, dense.ours, spiking.ours) == (f"keepout_point_{DENSE}refined", 0.9, 0.9)
    assert "2 M synop-equivalents (predictor 100%)" in dense.unit and "0.5 M" in spiking.unit
    assert -0.03 < spiking.other < 0  # type: ignore[operator]
    parts = run(0.9, 600_000)
    assert parts.op_counts is not None
    for layer, macs in (("policy.h1", 300_000), ("value.h1", 96_000), ("value.h2", 1_000)):
        parts.op_counts.add("predictor", LayerCounts(layer=layer, macs=macs))
    parts.op_counts.add("selection", LayerCounts(layer="select", acs=3_000))
    assert shares(parts) == "predictor 60%, policy 30%, cost-to-go 10%", (
        "the encoder aside, and what is below half a per cent"
    )


def test_points_of_fewer_planner_seeds_are_paired_by_episode() -> None:
    one, three = run(0.9, 10), run(0.9, 10)
    many = replace(three, success_KN=np.repeat(three.success_KN, 3, 0))
    assert less(one, many) == less(one, three) == less(many, one) < 0


def test_networks_of_another_folder_are_other_runs() -> None:
    job = Job(task="two-room", method="random", role="", planner=DirectConfig(), episodes=1, count=1)
    other = replace(job, checkpoint="elsewhere.safetensors")
    done = run_job(job)
    assert [one.job.checkpoint for one in group([done, done], [job, other])] == [None, "elsewhere.safetensors"]


def test_a_folder_without_a_network_is_refused_by_name(tmp_path: Path) -> None:
    shutil.copy(shipped("two-room"), tmp_path / "two-room.safetensors")
    with pytest.raises(
        UserError, match=r"--trained .*: no two-room\..*; train it with `spikeplan train --task two-room`"
    ):
        planner.checkpoint_in(str(tmp_path))
    for kind in ("policy", "cost-to-go", "cost-to-go-lif", "delta"):
        shutil.copy(derived(shipped("two-room"), kind), derived(tmp_path / "two-room.safetensors", kind))
    with pytest.raises(UserError, match=r"no keep-out/two-room\.policy\.safetensors; train it with"):
        planner.checkpoint_in(str(tmp_path))
    model = load_model(shipped("two-room"))
    other, again = (str(save_model(replace(model, seed=8), tmp_path / f"{name}.safetensors")) for name in "ab")
    assert planner.different([other]) == [other]
    for twice in ([str(tmp_path / "two-room.safetensors")], [other, again]):
        with pytest.raises(UserError, match=r"training seed \d is that of .*; give another seed's"):
            planner.different(twice)
    with pytest.raises(UserError, match="nowhere"):
        planner.checkpoint_in("nowhere")
    with pytest.raises(UserError, match="bench plan plans with no trained networks; leave out --trained"):
        bench_command("plan", None, trained=("x",), console=Console(quiet=True))


def test_a_ratio_counts_only_at_equal_success() -> None:
    rows = keep_out(0.6)
    assert not rows["keepout_spiking_points"].holds and rows["keepout_equivalents_ratio"].ratio < 0.5
    assert not rows["keepout_equivalents_ratio"].holds


def test_the_cheapest_spiking_point_of_equal_success_is_taken() -> None:
    both, one = keep_out(0.95, 0.95), keep_out(0.6, 0.95)
    assert both["keepout_equivalents_ratio"].ours == 100 and both["keepout_equivalents_ratio"].holds
    assert one["keepout_equivalents_ratio"].ours == 300 and one["keepout_spiking_points"].holds
    assert not one["keepout_equivalents_ratio"].holds, "three quarters of the dense operations"


@pytest.mark.parametrize(("success", "macs", "holds"), [(0.98, 1_500_000, True), (0.96, 2_500_000, False)])
def test_guided_planning_is_held_to_success_and_macs(success: float, macs: int, holds: bool) -> None:
    both = {"dense": run(success, macs), "spiking": run(success, macs // 4, spiking=True)}
    rows = {row.name: row for row in two_room_rows(both)}
    assert rows["guided_success"].holds == rows["guided_mmacs"].holds == holds
    assert rows["guided_mmacs"].ours == macs / 1e6, "without the encoder"
    assert rows["guided_equivalents_ratio"].ratio == pytest.approx(0.25)


@pytest.mark.slow
def test_the_lava_and_the_chip_rows_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a size of seconds. A chip is slower for more steps, and too many copies do not fit one."""
    small, long = GuidedConfig(samples=2, horizon=2), GuidedConfig(samples=2, horizon=6)
    monkeypatch.setattr(planner, "ON_CHIP", {"two-room": small})
    rows = {row.name: row for row in planner.lava_rows(Console(quiet=True), 1)}
    assert rows["guided_values_different"].ours == 0 and rows["guided_values_different"].holds
    assert rows["guided_values_different"].other == 25 * (2 + 1 + 2 * 2 * (2 + 32) + 8 + 1), "values compared"
    assert 0 < rows["guided_plan_seconds"].ours < 60

    def ran(config: GuidedConfig) -> Run:
        job = Job(task="two-room", method="guided-integer", role="on-chip", planner=config, episodes=1, count=1)
        return group([run_job(job)], [job])[0]

    short, slow = ran(small), ran(long)
    alone, both = planner.chip_row([short]), planner.chip_row([short, slow])
    assert 0 < alone.ours < both.ours == planner.chip_row([slow]).ours, "the slower one counts"
    assert alone.holds == (alone.ours <= 1)
    with pytest.raises(UserError, match="two-room: guided 64 H2 does not fit one loihi2"):
        planner.chip_row([ran(GuidedConfig(samples=64, horizon=2))])
