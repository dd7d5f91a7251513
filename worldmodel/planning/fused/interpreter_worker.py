"""The process of interpreter.py: python -m spikeplan.worldmodel.planning.fused.interpreter_worker IN OUT"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.fused.planner import FusedPlanner, Tile
from spikeplan.worldmodel.predictor import ResidualPredictor


def work(asked: str, answered: str) -> None:
    with safe_open(asked, "pt") as file:
        settings: dict[str, Any] = json.loads(file.metadata()["settings"])
    given = load_file(asked)
    latent_dim, action_dim, hidden = settings["sizes"]
    module = ResidualPredictor(latent_dim, action_dim, tuple(hidden))
    module.load_state_dict({name.removeprefix("net."): given[name] for name in given if name.startswith("net.")})
    tile = settings["planner"].pop("tile")
    planner = FusedPlanner(
        module,
        CEMConfig(**settings["config"]),
        device="cpu",
        tile=None if tile is None else Tile(*tile),
        **settings["planner"],
    )
    trace = planner.plan(given["latent"], given["goal"], given["noise"], given.get("warm"))[2]
    save_file({name: value.contiguous() for name, value in trace._asdict().items()}, answered)


if __name__ == "__main__":
    torch.set_num_threads(1)
    work(*sys.argv[1:])
