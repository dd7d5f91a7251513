"""World-model checkpoints: the same numbers back, or a refusal that names the file."""

from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.checkpoint import WorldModel, load_model, save_model, shipped
from spikeplan.worldmodel.encoder import Encoder, EncoderConfig
from spikeplan.worldmodel.predictor import ResidualPredictor


@pytest.fixture
def model():
    encoder = Encoder(EncoderConfig(image_shape=(2, 32, 32), latent_dim=5, width=16, depth=1, heads=2))
    encoder.train()(torch.rand(4, 2, 32, 32))  # running statistics unlike their start
    planner = CEMConfig(samples=9, elites=2, horizon=4, chunk=2)
    return WorldModel("two-room", encoder, ResidualPredictor(5, 2, (7, 6)), planner, 3, {"r2": 0.5}, {"steps": 1})


def rewrite(path, change):
    with safe_open(str(path), framework="pt") as handle:
        header = json.loads(handle.metadata()["worldmodel"])
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}
    change(header, tensors)
    save_file(tensors, path, metadata={"worldmodel": json.dumps(header)})


def test_round_trip(model, tmp_path):
    again = load_model(save_model(model, tmp_path / "new" / "m.safetensors"))
    for ours, theirs in ((model.encoder, again.encoder), (model.predictor, again.predictor)):
        assert not theirs.training
        state = theirs.state_dict()
        assert state.keys() == ours.state_dict().keys()
        assert all((state[name] == value).all() for name, value in ours.state_dict().items())
    assert (again.task, again.seed, again.metrics, again.config) == ("two-room", 3, {"r2": 0.5}, {"steps": 1})
    assert again.planner == model.planner
    assert (again.encoder.config, again.predictor.hidden) == (model.encoder.config, (7, 6))
    image = torch.rand(3, 2, 32, 32)
    assert (again.encoder(image) == model.encoder.eval()(image)).all()
    assert os.listdir(tmp_path / "new") == ["m.safetensors"]


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.6, 0.99])
def test_truncated(model, tmp_path, keep):
    path = save_model(model, tmp_path / "m.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(UserError, match=r"m\.safetensors: truncated.*train it again"):
        load_model(path)


def test_missing_and_foreign(tmp_path):
    with pytest.raises(UserError, match=r"m\.safetensors: no such checkpoint"):
        load_model(tmp_path / "m.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors", metadata={"artifact": "{}"})
    with pytest.raises(UserError, match=r"x\.safetensors: .*no spikeplan-worldmodel"):
        load_model(tmp_path / "x.safetensors")


def poison(number):
    def change(header, tensors):
        tensors["predictor.net.0.weight"][2, 1] = number

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (poison(float("nan")), "weights are not finite"),
        (poison(float("inf")), "weights are not finite"),
        (lambda h, t: h.update(version=9), "version 9, this build reads 'spikeplan-worldmodel' version 1"),
        (lambda h, t: h.update(format="x"), "'x' version 1"),
        (lambda h, t: h.pop("planner"), "damaged.*planner"),
        (lambda h, t: h["planner"].update(speed=1), "damaged.*speed"),
        (lambda h, t: h["predictor"].update(hidden=[7, 9]), "damaged"),
        (lambda h, t: t.pop("encoder.position"), "damaged"),
        (lambda h, t: t.update({"predictor.extra": torch.zeros(1)}), "damaged"),
    ],
)
def test_refusals_name_the_file(model, tmp_path, change, complaint):
    path = save_model(model, tmp_path / "m.safetensors")
    rewrite(path, change)
    with pytest.raises(UserError, match=rf"m\.safetensors: .*{complaint}"):
        load_model(path)


def test_writing_is_atomic(model, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write the checkpoint"):
        save_model(model, tmp_path / "file" / "m.safetensors")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("spikeplan.worldmodel.checkpoint.save_file", fail)
    with pytest.raises(UserError, match="disk full"):
        save_model(model, tmp_path / "m.safetensors")
    assert os.listdir(tmp_path) == ["file"]


def test_levels_share_a_shipped_checkpoint():
    names = ("two-room", "two-room-random", "planar-reach", "planar-reach-near")
    assert [shipped(name).stem for name in names] == ["two-room", "two-room-random", "planar-reach", "planar-reach"]
    with pytest.raises(UserError, match="task 'maze' is unknown"):
        shipped("maze")
