"""Artifacts of version 0.1: refused with a remedy, and upgraded to what version 0.1 ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from spikeplan.conversion.upgrade import as_trained, at_operating_point, is_version_1, upgrade
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import load, save


def old_file(path: Path, *, chosen: Any = None, **changes: Any) -> Path:
    """A file as version 0.1 wrote it: every field of a layer, the choice in the provenance."""
    fields = {"weight_exp": 0, "act": "identity", "shift": 2, "message_bits": 8, "state_bits": 24}
    fields |= {"message_signed": True, "overflow": "saturate", "rounding": "to_zero", "reset": "none", "delay": 0}
    code = {"name": "code", "kind": "delta", "n_in": 3, "n_out": 3, "threshold_lsb": 10, **fields}
    out = {"name": "out", "kind": "sigma", "n_in": 3, "n_out": 2, "threshold_lsb": 1, **fields, **changes}
    meta = {
        "format": "spikeplan-artifact",
        "version": 1,
        "layers": [code, out],
        "edges": [{"src": "code", "dst": "out", "delay_steps": 1, "role": "feed"}],
        "scales": {"latent": 0.5, "action": 0.25},
        "provenance": {"trained_on_axis": "mean"} | ({} if chosen is None else {"thresholds": {"chosen": chosen}}),
    }
    tensors = {"out.weight": np.ones((2, 3), np.int8), "out.bias": np.zeros(2, np.int32)}
    save_file(tensors, path, metadata={"artifact": json.dumps(meta)})
    return path


def test_an_old_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = old_file(tmp_path / "old.safetensors")
    assert is_version_1(path) and not is_version_1(tmp_path / "absent.safetensors")
    with pytest.raises(UserError, match=r"old\.safetensors: .*version 0\.1.*spikeplan convert OLD --out NEW"):
        load(path)


@pytest.mark.parametrize(
    ("axis", "reference"),
    [
        ("none", "zero"),
        ("rollout", "previous_step"),
        ("order", "previous_candidate"),
        ("mean", "mean_candidate"),
        ("iteration", "previous_iteration"),
    ],
)
def test_the_choice_becomes_what_runs(axis: str, reference: str, tmp_path: Path) -> None:
    made = upgrade(old_file(tmp_path / "old.safetensors", chosen={"axis": axis, "factor": 1.25, "density": 0.2}))
    assert made.reference == reference
    assert [layer.threshold_lsb for layer in made.layers] == [12, 1]  # round(12.5) goes to the even number
    assert made.provenance["thresholds"]["chosen"]["reference"] == reference
    assert made.provenance["trained_on_reference"] == "mean_candidate"
    again = load(save(made, tmp_path / "new.safetensors"))
    assert again.reference == reference and again.layers[0].threshold_lsb == 12
    assert as_trained(again).layers[0].threshold_lsb == 10


def test_a_file_without_a_choice_keeps_its_thresholds(tmp_path: Path) -> None:
    made = upgrade(old_file(tmp_path / "old.safetensors"))
    assert (made.reference, made.layers[0].threshold_lsb) == ("zero", 10)


def test_choosing_again_starts_from_what_training_left(tmp_path: Path) -> None:
    trained = upgrade(old_file(tmp_path / "old.safetensors"))
    once = at_operating_point(trained, "previous_step", 2.0)
    assert once.layers[0].threshold_lsb == 20
    assert at_operating_point(once, "zero", 0.5).layers[0].threshold_lsb == 5


@pytest.mark.parametrize(
    ("chosen", "changes"),
    [
        ({"axis": "up", "factor": 1}, {}),
        ({"axis": "none", "factor": -2}, {}),
        ({"axis": "none"}, {}),
        ([], {}),
        (None, {"reset": "zero"}),
        (None, {"kind": "sigmoid"}),
    ],
)
def test_what_version_01_refused_is_refused(chosen: Any, changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"old\.safetensors"):
        upgrade(old_file(tmp_path / "old.safetensors", chosen=chosen, **changes))
