"""Plug-ins are files outside the repository: each test writes one and forgets it afterwards."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from spikeplan.core import registry
from spikeplan.core.planning import CEMConfig
from spikeplan.experiments.cli.main import main
from spikeplan.worldmodel.checkpoint import WorldModel, save_model
from spikeplan.worldmodel.encoder import Encoder, EncoderConfig
from spikeplan.worldmodel.predictors import PREDICTORS
from spikeplan.worldmodel.tasks import make_world

SMALL = ["--episodes", "3", "--samples", "8", "--iterations", "1", "--elites", "2", "--horizon", "2"]


def _model_of(task: str, path: Path, *, kind: str = "residual", hidden: tuple[int, ...] = (8, 8)) -> Path:
    """A world model with random weights: planning runs, nothing is learned."""
    world = make_world(task)
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(image_shape=world.image_shape, latent_dim=4))
    predictor = PREDICTORS[kind].make(4, world.action_dim, hidden)
    return save_model(WorldModel(task, encoder, predictor, CEMConfig(), 0, {}, {}, kind), path)


def _planned(task: str, method: str, out: Path, *more: str) -> dict[str, Any]:
    main(["plan", "--task", task, "--method", method, "--out", str(out), *SMALL, *more])
    return json.loads((out / "summary.json").read_text())["tasks"][task]["methods"][method]


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """plug(source) -> path of a file that is a plug-in until the test ends."""
    monkeypatch.setenv(registry.VARIABLE, "")

    def write(source: str, name: str = "mine.py", *, load: bool = True) -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(source))
        if load:
            registry.load_plugins([str(path)])
            monkeypatch.setenv(registry.VARIABLE, os.environ[registry.VARIABLE])
        return path

    return write


@pytest.fixture
def model_of() -> Callable[..., Path]:
    """model_of(task, path, kind="residual", hidden=(8, 8)) -> path"""
    return _model_of


@pytest.fixture
def planned() -> Callable[..., dict[str, Any]]:
    """planned(task, method, out, *words) -> that method's entry in the summary of a short run."""
    return _planned
