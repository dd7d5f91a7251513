"""One file from outside the repository adds one thing, and the product uses it by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from spikeplan.conversion.recipes import RECIPES
from spikeplan.core.chips import CHIPS
from spikeplan.core.planning import CEMConfig
from spikeplan.energy import default
from spikeplan.evaluation.shard import Job, job_key, run_job
from spikeplan.eventdata import open_recording, write_recording
from spikeplan.experiments.cli.main import main
from spikeplan.worldmodel.checkpoint import load_model
from spikeplan.worldmodel.predictor import DensePredictor


def test_a_predictor_with_other_layer_names(planned: Any, model_of: Any, plug: Any, tmp_path: Path) -> None:
    plug(
        """
        import torch
        from torch import nn

        from spikeplan.worldmodel.predictors.base import PredictorKind


        class Gated(nn.Module):
            def __init__(self, latent_dim, action_dim, hidden=(8,)):
                super().__init__()
                self.latent_dim, self.action_dim, self.hidden = latent_dim, action_dim, hidden
                self.squeeze = nn.Linear(latent_dim + action_dim, hidden[0])
                self.gate = nn.Linear(hidden[0], latent_dim)
                self.push = nn.Linear(hidden[0], latent_dim, bias=False)

            def forward(self, latent, action):
                x = torch.tanh(self.squeeze(torch.cat([latent, action], -1)))
                return latent + torch.sigmoid(self.gate(x)) * self.push(x)


        PREDICTOR = PredictorKind(name="mine", make=Gated)
        """
    )
    path = model_of("two-room", tmp_path / "gated.safetensors", kind="mine", hidden=(6,))
    model = load_model(path)
    predictor = DensePredictor(model.predictor)
    _, _, counts = predictor.step(torch.zeros(2, 3, 4), torch.zeros(2, 3, 2), None)
    assert {c.layer: c.macs for c in counts} == {"squeeze": 6 * 6 * 6, "gate": 6 * 6 * 4, "push": 6 * 6 * 4}
    assert predictor.memory()["squeeze"] == (4 * 36, 3 * 6)
    found = planned("two-room", "dense", tmp_path / "out", "--checkpoint", str(path), "--chunk", "1")
    assert found["macs_per_action"] > 0
    job = {"task": "two-room", "role": "", "planner": CEMConfig(), "episodes": 1, "count": 1, "checkpoint": str(path)}
    with pytest.raises(Exception, match="no residual ReLU chain"):
        run_job(Job(method="int8", **job))


def test_a_method(planned: Any, plug: Any, tmp_path: Path) -> None:
    """The dense predictor with its weights in half precision; its source is part of the key of its results."""
    source = """
        import copy

        from spikeplan.evaluation.methods.base import Method
        from spikeplan.worldmodel.predictor import DensePredictor


        def make(site):
            return DensePredictor(copy.deepcopy(site.bundle.model.predictor).half().float())


        METHOD = Method(name="half", family="dense", make=make)
        """
    path = plug(source)
    found = planned("two-room", "half", tmp_path / "out")
    dense = planned("two-room", "dense", tmp_path / "dense")
    assert found["macs_per_action"] == dense["macs_per_action"]
    job = Job(task="two-room", method="half", role="", planner=CEMConfig(), episodes=1, count=1)
    before = job_key(job)
    path.write_text(path.read_text() + "\n# changed\n")
    assert job_key(job) != before


def test_a_planner(planned: Any, plug: Any, tmp_path: Path) -> None:
    """Random shooting: one iteration, the best candidate is taken."""
    plug(
        """
        from spikeplan.evaluation.methods.base import Method
        from spikeplan.worldmodel.planning.base import PlannerKind
        from spikeplan.worldmodel.planning.cem import CEMPlanner
        from spikeplan.worldmodel.predictor import DensePredictor


        class RandomShooting(CEMPlanner):
            def __init__(self, predictor, config, **settings):
                super().__init__(predictor, config.at(iterations=1, elites=1), **settings)


        PLANNER = PlannerKind(name="random_shooting", make=RandomShooting)
        METHOD = Method(
            name="shooting",
            family="dense",
            planner="random_shooting",
            make=lambda site: DensePredictor(site.bundle.model.predictor),
        )
        """
    )
    found = planned("two-room", "shooting", tmp_path / "out", "--iterations", "3")
    dense = planned("two-room", "dense", tmp_path / "dense", "--iterations", "3")
    encoder = load_model(Path(json.loads((tmp_path / "out" / "config.json").read_text())["checkpoint"])).encoder.macs()
    assert found["macs_per_action"] - encoder < (dense["macs_per_action"] - encoder) / 2
    # The same planner by name, under a method of ours: the very same plans, and every row says who planned.
    named = planned("two-room", "dense", tmp_path / "named", "--iterations", "3", "--planner", "random_shooting")
    assert named == found and (named["planner_name"], dense["planner_name"]) == ("random_shooting", "cem")
    rows = [json.loads(line) for line in (tmp_path / "named" / "metrics.jsonl").read_text().splitlines()]
    assert [row["planner_name"] for row in rows if row["kind"] == "method"] == ["random_shooting"]
    assert json.loads((tmp_path / "named" / "config.json").read_text())["planner_name"] == "random_shooting"
    planned("two-room", "lif", tmp_path / "lif", "--planner", "random_shooting")


def test_a_planner_that_is_not_loaded_is_unknown(planned: Any, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit) as stop:
        planned("two-room", "dense", tmp_path / "out", "--planner", "random_shooting")
    assert (
        stop.value.code == 2
        and "use one of cem, cem_mad, direct, gradient, guided, integer_cem, integer_guided, refined"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_a_chip(plug: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plug(
        '''
        from spikeplan.core.chips import ChipLimits

        FIGURES = """
        [devices.speck.figures]
        e_synop = { value = 1.5, unit = "pJ", source = "invented", evidence = "assumed", node = "none" }
        """
        CHIP = ChipLimits(
            name="tiny", cores=4, neurons_per_core=16, core_memory_bytes=65536, weight_bits=8, message_bits=32, state_bits=24,
            fan_in=4096, fan_out=4096, graded_messages=True, figures=FIGURES,
        )
        '''
    )
    assert CHIPS["tiny"].cores == 4 and set(CHIPS) == {"loihi1", "loihi2", "tiny"}
    artifact = Path(__file__).resolve().parents[2] / "worldmodel/checkpoints/two-room/two-room.delta.safetensors"
    with pytest.raises(SystemExit) as stop:
        main(["check", str(artifact), "--chip", "tiny"])
    said = " ".join(capsys.readouterr().out.split())  # the path's length decides where a line ends
    assert stop.value.code == 1 and "violation on tiny" in said, "four cores of 16 neurons hold no layer"
    assert default().device("speck").figure("e_synop").band.nominal == pytest.approx(1.5e-12)


def test_a_chip_with_figures_of_its_own_takes_any_network(
    plug: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A quarter of Loihi 2's cores and a barrier of 1 ms: the network goes over chips, and every step takes that long."""
    plug(
        """
        from dataclasses import replace
        from pathlib import Path

        import spikeplan.energy
        from spikeplan.core.chips import LOIHI2

        text = (Path(spikeplan.energy.__file__).parent / "devices/loihi2.toml").read_text()
        text = text.replace("devices.loihi2", "devices.quarter")
        lines = [line for line in text.splitlines() if not line.startswith("t_barrier")]
        lines.append('t_barrier = { value = 1, unit = "ms", source = "invented", evidence = "assumed" }')
        CHIP = replace(LOIHI2, name="quarter", cores=2, figures="\\n".join(lines))
        """
    )
    artifact = Path(__file__).resolve().parents[2] / "worldmodel/checkpoints/two-room/two-room.delta.safetensors"
    target = tmp_path / "p.json"
    with pytest.raises(SystemExit) as stop:
        main(["place", str(artifact), "--rates", "0.1", "--chip", "quarter", "--json", str(target)])
    capsys.readouterr()
    facts = json.loads(target.read_text())
    assert stop.value.code == 0 and (facts["cores"], facts["chips"]) == (4, 2)
    assert facts["step"]["seconds"]["nominal"] == pytest.approx(1e-3)
    own = tmp_path / "d.toml"
    own.write_text(
        '[devices.loihi2.figures]\nt_barrier = { value = 1, unit = "s", source = "x", evidence = "assumed" }\n'
    )
    with pytest.raises(SystemExit) as stop:
        main(["place", str(artifact), "--rates", "0.1", "--chip", "quarter", "--devices", str(own)])
    assert stop.value.code == 2 and "d.toml: no figures of chip 'quarter'" in capsys.readouterr().err


def test_an_event_format(plug: Any, tmp_path: Path) -> None:
    plug(
        """
        import numpy as np

        from spikeplan.eventdata.events import Events
        from spikeplan.eventdata.formats.base import Format
        from spikeplan.eventdata.recording import Recording


        def events_of(source):
            x, y, t, p = np.loadtxt(source, delimiter=",", skiprows=1, dtype=np.int64).T
            return Events(x=x.astype(np.uint16), y=y.astype(np.uint16), t_us=t, p=p.astype(bool))


        def read(source, *, sort=False):
            return Recording(events=events_of(source), width=8, height=4)


        def write(recording, target):
            e = recording.events
            np.savetxt(target, np.stack([e.x, e.y, e.t_us, e.p], 1), "%d", ",", header="x,y,t,p")


        FORMAT = Format(name="csv", suffixes=("csv",), is_it=None, open=read, raw=None, write=write, events_only=True)
        """
    )
    path = tmp_path / "a.csv"
    path.write_text("x,y,t,p\n1,2,0,1\n3,0,10,0\n")
    recording = open_recording(path)
    assert recording.events.t_us.tolist() == [0, 10] and recording.events.p.tolist() == [True, False]
    main(["events", "info", str(path)])
    write_recording(recording, tmp_path / "b.csv")
    assert open_recording(tmp_path / "b.csv").events.x.tolist() == [1, 3]


def test_a_recipe(plug: Any) -> None:
    plug(
        """
        from functools import partial

        from spikeplan.conversion.recipes.base import RecipeKind
        from spikeplan.conversion.recipes.sigma_delta import SigmaDelta

        RECIPE = RecipeKind(name="coarse", make=partial(SigmaDelta, bits=6))
        """
    )
    assert (
        set(RECIPES)
        == {"delta_transformer", "lif_latency", "lif_rate", "matmul_free", "one_quantum", "sigma_delta", "coarse"}
        and RECIPES["coarse"].make(thresholds=0.5).bits == 6
    )
