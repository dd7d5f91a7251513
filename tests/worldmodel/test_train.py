"""Training: deterministic, resumable to the bit, chosen by planning, and guarded against collapse."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel import train as training
from spikeplan.worldmodel.checkpoint import save_model
from spikeplan.worldmodel.data import draw_clips
from spikeplan.worldmodel.gates import measure_gates, spearman
from spikeplan.worldmodel.losses import LossWeights, jepa_losses
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.train import TrainConfig, Trainer, TrainingStopped, recipe, train

TINY = TrainConfig(
    task="two-room",
    seed=1,
    steps=6,
    batch=4,
    latent_dim=6,
    hidden=(16,),
    validate_every=3,
    validation_episodes=2,
    planner=CEMConfig(samples=4, iterations=1, elites=2, horizon=2),
)


class Interrupted(Exception):
    pass


@pytest.fixture
def no_gates(monkeypatch):
    monkeypatch.setattr(training, "measure_gates", lambda *args, **kwargs: {})


def weights(model):
    return {**model.encoder.state_dict(), **{f"p.{k}": v for k, v in model.predictor.state_dict().items()}}


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, no_gates):
    rows, again = [], []
    whole = train(TINY, report=rows.append)

    def stop_at_five(row):
        again.append(row)
        if row["step"] == 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(TINY, tmp_path, report=stop_at_five)
    assert [path.name for path in tmp_path.iterdir()] == ["unfinished.pt"]
    with pytest.raises(UserError, match="another config"):
        train(replace(TINY, batch=5), tmp_path)
    torch.manual_seed(99)  # nothing may hang on the global generator
    resumed = train(TINY, tmp_path, report=again.append)
    assert list(tmp_path.iterdir()) == []
    ours, theirs = weights(whole), weights(resumed)
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    assert whole.metrics == resumed.metrics
    assert [row["step"] for row in again] == [1, 2, 3, 4, 5, 4, 5, 6]
    assert [row["total"] for row in rows] == [row["total"] for row in again[:3] + again[5:]]
    assert len({row["total"] for row in rows}) == 6
    assert [row["step"] for row in rows if "validation_success" in row] == [3, 6]


def test_a_stopped_run_keeps_its_step_and_ends_with_the_same_bytes(tmp_path, no_gates):
    """`stop` says True at its n-th question: after step 1, within the validation of step 3, within that of step 6."""
    path, whole, resumed = (tmp_path / name for name in ("unfinished.pt", "whole.safetensors", "resumed.safetensors"))
    save_model(train(TINY), whole)
    for asked, step in ((1, 1), (8, 3), (40, 6)):
        questions, rows = itertools.count(1), []
        with pytest.raises(TrainingStopped, match=f"stopped after step {step} of 6"):
            train(TINY, tmp_path, report=rows.append, stop=lambda n=questions, last=asked: next(n) == last)
        assert torch.load(path, weights_only=True)["step"] == step, "no finished step is lost"
        save_model(train(TINY, tmp_path, report=rows.append), resumed)
        assert resumed.read_bytes() == whole.read_bytes()
        assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6], "no step is run twice"
        assert not path.exists()


def test_a_damaged_unfinished_run_is_refused(tmp_path, no_gates):
    (tmp_path / "unfinished.pt").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(UserError, match=r"unfinished\.pt.*remove it"):
        train(TINY, tmp_path)


def test_the_best_plan_chooses_the_weights(monkeypatch, no_gates):
    """Success .5 at step 3 beats .25 at step 6: the weights of step 3 are returned, whatever the loss did since."""
    scores = iter([0.5, 0.25])
    kept = []

    def plan_success(config, encoder, predictor, progress):
        kept.append({name: value.clone() for name, value in predictor.state_dict().items()})
        return next(scores)

    monkeypatch.setattr(training, "plan_success", plan_success)
    model = train(TINY)
    assert (model.metrics["validation_success"], model.metrics["chosen_step"]) == (0.5, 3)
    state = model.predictor.state_dict()
    assert all((state[name] == value).all() for name, value in kept[0].items())
    assert any((state[name] != value).any() for name, value in kept[1].items())
    assert model.planner == TINY.planner


def test_without_its_anti_collapse_terms_the_latent_collapses():
    """The spread of a batch falls (the variance term, mean relu(1 - std), grows) and the gate sees it; with the terms
    both rise. The gate is read at the end only: before, BatchNorm's running statistics have not settled."""
    world = make_world("two-room")
    config = replace(TINY, steps=25, batch=32, rate=3e-3)
    gate, terms = {}, {}
    for name, losses in (
        ("kept", LossWeights()),
        ("collapsed", LossWeights(variance=0, covariance=0, time=0, inverse=0)),
    ):
        trainer = Trainer(replace(config, losses=losses))
        rows: list[dict[str, float]] = []
        trainer.run(config.steps, rows.append)
        terms[name] = [row["variance"] for row in rows]
        gates = measure_gates(world, trainer.encoder, trainer.predictor, rng=np.random.default_rng(0), clips=24)
        gate[name] = gates["std_min"]
    assert terms["collapsed"][0] == terms["kept"][0]
    assert terms["collapsed"][-1] > terms["kept"][0] + 0.05
    assert terms["kept"][-1] < 0.1
    assert gate["collapsed"] < 0.35 * gate["kept"]


def test_losses_by_hand():
    """A latent that moves by the action, a predictor that knows it, an inverse that reads it: only var and cov stay."""
    action = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]], [[-1.0, 0.0]], [[0.0, -2.0]]])
    latent = torch.cat([torch.zeros(4, 1, 2), action], 1)
    weights = LossWeights(variance=3.0, covariance=5.0, time=7.0, inverse=11.0)

    def inverse(pair):
        return pair[..., 2:] - pair[..., :2]

    terms = jepa_losses(latent, action, lambda z, a: z + a, inverse, weights)
    assert [float(terms[name]) for name in ("teacher", "rollout", "inverse", "covariance")] == [0, 0, 0, 0]
    assert float(terms["time"]) == (1 + 4 + 1 + 4) / 8
    assert float(terms["variance"]) == pytest.approx((1 - (2 / 7) ** 0.5 + 0) / 2)
    assert float(terms["total"]) == pytest.approx(3 * float(terms["variance"]) + 7 * 1.25)
    still = jepa_losses(latent, action, lambda z, a: z, inverse, weights)
    assert float(still["teacher"]) == float(still["rollout"]) == 1.25
    # Teacher forcing restarts from the true latent, the rollout does not: a bias of 1 a step adds up.
    path = torch.zeros(1, 4, 1)
    biased = jepa_losses(path, torch.zeros(1, 3, 1), lambda z, a: z + 1, lambda pair: pair[..., :1], weights)
    assert (float(biased["teacher"]), float(biased["rollout"])) == (1.0, pytest.approx((1 + 4 + 9) / 3))


def test_clips_follow_the_world():
    world = make_world("two-room")
    clips = draw_clips(world, 16, 5, np.random.default_rng(0))
    assert clips.image_BTCHW.shape == (16, 5, 2, 32, 32)
    assert clips.action_BTA.shape == (16, 4, 2)
    assert clips.action_BTA.abs().max() <= np.float32(world.action_limit)
    layout = np.full((16, 1), 0.51)
    for t in range(4):
        moved = world.move(clips.pose_BTP[:, t], clips.action_BTA[:, t].double().numpy(), layout)
        assert moved == pytest.approx(clips.pose_BTP[:, t + 1], abs=1e-6)
    assert (clips.image_BTCHW[:, 3].numpy() == world.render(clips.pose_BTP[:, 3], layout)).all()


def test_spearman():
    x = np.array([1.0, 2.0, 3.0, 10.0])
    assert spearman(x, np.exp(x)) == pytest.approx(1)
    assert spearman(x, -x) == pytest.approx(-1)
    assert spearman(x, np.ones(4)) == 0.0


def test_impossible_settings_are_refused():
    with pytest.raises(UserError, match="steps 0"):
        TrainConfig(task="two-room", steps=0)
    with pytest.raises(UserError, match="task 'maze' is unknown"):
        recipe("maze")
    assert recipe("planar-reach", 4).seed == 4
