"""A run made by hand, whose counts and verdicts can be followed with a pencil."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from spikeplan import energy
from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.pricing.report import energy_report

ACTIONS, PREDICTIONS = 2, 100


LAYERS = {"h1": (10, 40), "out": (40, 8)}  # inputs, outputs: 400 + 320 = 720 MACs a prediction


SENT = {"code": 9, "h1": 4}  # messages a prediction: 9 x 40 + 4 x 8 = 392 synops


def dense_op_counts(method: str, precision: str, predictions: int = PREDICTIONS) -> OperationCounts:
    op_counts = OperationCounts(method=method, reference="zero", precision=precision, spiking=False)
    rows = predictions * ACTIONS
    for name, (n_in, n_out) in LAYERS.items():
        macs = rows * n_in * n_out
        op_counts.add("predictor", LayerCounts(layer=name, macs=macs, dense_macs=macs, calls=rows), iteration=0, step=0)
        op_counts.set_memory(name, weight_bytes=n_in * n_out * (4 if precision == "fp32" else 1), state_bytes=0)
    op_counts.actions = ACTIONS
    return op_counts


def spiking_op_counts(predictions: int = PREDICTIONS) -> OperationCounts:
    op_counts = OperationCounts(
        method="sigma_delta", reference="zero", precision="int8", spiking=True, sequential_steps=3
    )
    rows = predictions * ACTIONS
    for name, neurons, fan_out in (("code", 10, 40), ("h1", 40, 8), ("out", 8, 0)):
        sent = SENT.get(name, 8) * rows
        n_in, n_out = LAYERS.get(name, (0, 0))
        counts = LayerCounts(
            layer=name,
            synops=sent * fan_out,
            updates=rows * neurons,
            updates_active=sent,
            messages=sent,
            message_bits=8 * sent,
            dense_macs=rows * n_in * n_out,
            calls=rows,
        )
        op_counts.add("predictor", counts, iteration=0, step=0)
        op_counts.set_memory(name, weight_bytes=n_in * n_out, state_bytes=6 * neurons)
    op_counts.actions = ACTIONS
    return op_counts


def family(method: str) -> str:
    base, _, how = method.partition("/")
    return {"dense": "dense_replay", "skip": "zero_skipping"}.get(how) or METHODS[base].family


def row_of(
    method: str, op_counts: OperationCounts, *, success: float = 0.9, role: str = "headline", budget: str = "4x2 H3"
) -> Any:
    return {
        "kind": "op_counts",
        "task": "toy",
        "method": method,
        "family": family(method),
        "budget": budget,
        "reference": "zero",
        "threshold": None,
        "role": role,
        "success": success,
        "episodes": 50,
        "ci95": [0.8, 1.0],
        "paired_vs_dense": [-0.02, 0.02],
        "evaluations": PREDICTIONS,
        "samples": 4,
        "op_counts": op_counts.dump(),
    }


def run_dir(folder: Path, rows: list[Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"command": "toy"}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def rows_of_a_run(spiking_success: float = 0.9) -> list[Any]:
    return [
        row_of("dense", dense_op_counts("dense", "fp32")),
        row_of("int8", dense_op_counts("int8", "int8")),
        row_of("sigma_delta", spiking_op_counts(), success=spiking_success),
        row_of("sigma_delta/dense", dense_op_counts("sigma_delta/dense", "int8"), success=spiking_success),
    ]


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = run_dir(tmp_path_factory.mktemp("run"), rows_of_a_run())
    return energy_report(folder, energy.default(), draws=400, rng=np.random.default_rng(1))


def pair_of(found: dict[str, Any], chip: str, device: str, schedule: str = "interleaved") -> dict[str, Any]:
    return next(
        row
        for row in found["tasks"]["toy"]["pairs"]
        if (row["chip"], row["device"], row["schedule"]) == (chip, device, schedule)
    )


class Toy(NamedTuple):
    """What the tests of this folder make their runs with."""

    ACTIONS = ACTIONS
    PREDICTIONS = PREDICTIONS
    dense_op_counts = staticmethod(dense_op_counts)
    spiking_op_counts = staticmethod(spiking_op_counts)
    row_of = staticmethod(row_of)
    run_dir = staticmethod(run_dir)
    rows_of_a_run = staticmethod(rows_of_a_run)
    pair_of = staticmethod(pair_of)


@pytest.fixture(scope="session")
def toy() -> Toy:
    return Toy()
