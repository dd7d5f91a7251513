"""`spikeplan fusion`: the streams' arithmetic against hand-made cases, training and the whole command at a size of seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.fusion_study.reaction_time import follows_s, turning_paths
from spikeplan.experiments.fusion_study.rows import FusionMethodRow, read_summary
from spikeplan.experiments.fusion_study.run import fuse_command
from spikeplan.experiments.fusion_study.summary import HEADLINE, claims, losses
from spikeplan.experiments.fusion_study.train import train_command
from spikeplan.fusion.checkpoint import events_path, fused_path, load_fusion
from spikeplan.fusion.estimators import Extrapolation, extrapolate, newest
from spikeplan.fusion.streams import AMBIENT, READ_NOISE, Condition, Stream, arrivals, draw_paths, film, sensor_noise
from spikeplan.fusion.train import FuseTraining
from spikeplan.worldmodel.checkpoint import shipped
from spikeplan.worldmodel.tasks import make_world

TINY = FuseTraining(
    films=2,
    sequences=4,
    film_s=0.3,
    change_steps=50,
    steps=50,
    batch=4,
    ticks=5,
    maps_poses=600,
    maps_steps=2,
    denoiser_steps=1,
)


def refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("spikeplan: ") and "\n" not in line
    return line


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert "at least 1" in refused(["fusion", "--out", out, "--episodes", "0"], capsys)
    assert "at most 20" in refused(["fusion", "--out", out, "--seeds", "21"], capsys)
    assert "'fog' is unknown" in refused(["fusion", "--out", out, "--conditions", "nominal,fog"], capsys)
    assert "fusion --train" in refused(["fusion", "--out", out, "--checkpoint", str(tmp_path)], capsys)
    assert not (tmp_path / "out").exists()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "config.json").write_text(json.dumps({"command": "plan"}))
    assert "choose another --out" in refused(["fusion", "--out", str(tmp_path / "taken")], capsys)


def test_a_damaged_network_is_refused(tmp_path: Path) -> None:
    for path in (fused_path(shipped("planar-reach").parent), events_path(shipped("planar-reach").parent)):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    load_fusion(tmp_path)
    fused_path(tmp_path).write_bytes(events_path(shipped("planar-reach").parent).read_bytes())
    with pytest.raises(UserError, match="no spikeplan-fusion"):
        load_fusion(tmp_path)
    fused_path(tmp_path).write_bytes(fused_path(shipped("planar-reach").parent).read_bytes()[:5000])
    with pytest.raises(UserError, match="truncated"):
        load_fusion(tmp_path)


def test_the_shipped_files_are_small() -> None:
    assert (
        sum(
            path.stat().st_size
            for path in (fused_path(shipped("planar-reach").parent), events_path(shipped("planar-reach").parent))
        )
        < 2_000_000
    )


def test_paths_run_faster_but_the_same_way() -> None:
    paths = draw_paths(50, np.random.default_rng(0))
    t = np.arange(400) / 100
    assert np.allclose(paths.at(2 * t, 1.0), paths.at(t, 2.0))
    speed = np.diff(paths.at(t, 4.0), axis=1) * 100
    assert np.sqrt((speed**2).mean()) == pytest.approx(1.0, rel=0.1), "rms 0.25 rad/s x 4"


def test_noise_keeps_the_mean_and_has_the_electrons_variance() -> None:
    rng = np.random.default_rng(0)
    found = sensor_noise(np.full((200, 200), 0.5, np.float32), 400.0, rng)
    electrons = 400 * (AMBIENT + (1 - AMBIENT) * 0.5)
    expected = np.sqrt(electrons + READ_NOISE**2) / 400 / (1 - AMBIENT)
    assert found.mean() == pytest.approx(0.5, abs=1e-3)
    assert found.std() == pytest.approx(expected, rel=0.03)


def test_a_still_leader_gives_no_events_and_sharp_frames_and_a_moving_one_blurs() -> None:
    world = make_world("planar-reach")
    still = np.tile([0.3, 0.8], (1, 101, 1))
    moving = still + np.linspace(0, 0.4, 101)[None, :, None]
    rng = np.random.default_rng(0)
    made = film(world, still, 1.0, (10, 30), rng)
    assert made.counts_NKHW.shape == (1, 11, 24, 24) and made.events_NK.sum() < 30, "shot noise only"
    image = world.render(still[:, 0])[0, 0]
    assert np.allclose(made.exposed[30][0, 0], image, atol=1e-5)
    moved = film(world, moving, 1.0, (10, 30), rng)
    assert moved.events_NK.sum() > 300
    begin = int(moved.begin_NF[0, 0])
    by_hand = np.mean([world.render(moving[:, t])[0, 0] for t in range(begin, begin + 10)], 0)
    assert np.allclose(moved.exposed[10][0, 0], by_hand, atol=1e-5)


def stream(begin_ms: list[int], latency_ms: float, lost: list[bool], ticks: int = 12) -> Stream:
    begin = np.array([begin_ms])
    arrive = arrivals(begin, 10, np.array([[latency_ms]]), np.array([lost]), ticks)
    middle = torch.from_numpy((begin + 5) * 1e-3).float()
    none = torch.zeros(1, ticks, 1)
    return Stream(torch.zeros(1, len(begin_ms), 1), middle, torch.from_numpy(arrive), torch.zeros(1), none, none)


def test_frames_arrive_after_exposure_and_latency_and_lost_ones_never() -> None:
    made = stream([0, 33, 66], 5, [False, True, False])
    assert made.arrives_NF.tolist() == [[2, -1, 9]]  # ends at 10 and 76 ms, + 5, at the next tick of 10 ms
    index, known = newest(made, 2)
    assert known[0, 1].tolist() == [False, False]
    assert known[0, 8].tolist() == [True, False] and index[0, 8, 0] == 0
    assert known[0, 9].tolist() == [True, True] and index[0, 9].tolist() == [2, 0]


def test_constant_velocity_finds_a_constant_velocity() -> None:
    made = stream([0, 30, 60], 0, [False] * 3)
    value = 2.0 * made.middle_s_NF.numpy()[..., None].astype(np.float64)
    found = extrapolate(value, np.array([[7.0]]), made, Extrapolation(), angles=False, found=newest(made, 3))
    assert found[0, 0, 0] == 7.0, "the start view until a frame has arrived"
    assert found[0, 3, 0] == pytest.approx(0.01), "one frame is held"
    assert found[0, 11, 0] == pytest.approx(2 * 0.11)
    capped = extrapolate(
        value, np.array([[7.0]]), made, Extrapolation(1.0, 0.02, 3), angles=False, found=newest(made, 3)
    )
    assert capped[0, 11, 0] == pytest.approx(2 * (0.065 + 0.02))


def test_the_turn_s_definition_on_the_leader_itself() -> None:
    pose, turn, velocity = turning_paths(20, np.random.default_rng(0))
    exact = follows_s(pose[:, ::10], turn, velocity)
    assert exact.min() > 0.02 and exact.max() < 0.04, "half the speed over 30 ms: 22.5 ms and up to a tick"
    late = np.concatenate([np.repeat(pose[:, :1], 50, 1), pose[:, :-50]], 1)
    assert np.allclose(follows_s(late[:, ::10], turn, velocity), exact + 0.05)


@pytest.mark.slow
def test_training_leaves_networks_that_load(tmp_path: Path) -> None:
    found = train_command(str(tmp_path), TINY, console=Console(quiet=True))
    bundle = load_fusion(tmp_path)
    assert bundle.meta["config"]["steps"] == 50 and np.isfinite(found["conversion"]["error"])
    assert bundle.artifact.layers[0].n_in == 64 + 576
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {row["network"] for row in rows} == {"fused", "twin"}


@pytest.mark.slow
def test_the_command_from_films_to_figures_and_again(tmp_path: Path) -> None:
    def run() -> dict[str, object]:
        return fuse_command(
            str(tmp_path),
            episodes=3,
            seeds=1,
            conditions="nominal",
            checkpoint=None,
            lava=True,
            turns=2,
            validation=2,
            console=Console(quiet=True),
        )

    summary = run()
    names = {"config.json", "metrics.jsonl", "summary.json", "distance.svg", "age.svg", "latency.svg"}
    assert names <= {path.name for path in tmp_path.iterdir()}
    drawn = [(tmp_path / f"{name}.svg").read_text() for name in ("distance", "age", "latency")]
    assert not any("mathdefault" in text for text in drawn), "tick labels in mathematical text stay source code"
    rows = {row.method: row for row in summary.conditions["nominal"]}
    assert rows["oracle"].state_error[0] == 0 < rows["1 kHz frames"].state_error[0]
    assert rows["oracle"].distance[0] < 0.03 < rows["frames"].distance[0] + 0.03
    assert rows[HEADLINE].state_error[0] < rows["frames"].state_error[0], "events must be worth something"
    assert abs(rows[HEADLINE].state_error[0] - rows["fused"].state_error[0]) < 0.005
    assert summary.lava is not None and summary.lava.values_different == 0
    assert read_summary(tmp_path) == summary, "the file is the summary"
    front = {row.front_end: row for row in summary.front_end}
    assert front["1 kHz frames"].macs_per_s > 30 * front["frames"].macs_per_s
    assert front["fused"].synops_per_s == front["events"].synops_per_s > 0
    parts = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()}
    assert run().conditions == summary.conditions
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()} == parts, "made once"


def test_claims_and_losses_follow_the_intervals() -> None:
    def row(condition: str, distance: list[float], success: list[float]) -> FusionMethodRow:
        gain = {"best_frame_only": "cv-pose", "distance": distance, "success": success, "state_error": distance}
        means = {key: [0.1, 0.0, 0.2] for key in ("distance", "distance_late", "state_error", "latent_error")}
        fields = {"condition": condition, "method": HEADLINE, "success": 0.5, "ci95": [0.4, 0.6], "by_age": []}
        gain |= {"best_frame_only_state": "cv-pose"}
        return FusionMethodRow.from_json({**fields, **means, "gain": gain})

    rows = [row("speed x8", [0.1, 0.05, 0.15], [0.1, -0.1, 0.3]), row("nominal", [-0.1, -0.2, -0.05], [0.0, -0.1, 0.1])]
    (claim,) = claims(rows)
    assert (claim.holds_distance, claim.holds_success) == (True, False)
    said = " / ".join(losses(rows))
    assert "speed x8: no difference in success" in said and "nominal: fused-spiking is worse than cv-pose" in said
    assert "speed x8: no difference in distance" not in said


def test_dark_frames_have_fewer_electrons() -> None:
    assert Condition(name="a", light=1 / 64, exposure_ms=30).electrons == Condition(name="b").electrons * 3 / 64
