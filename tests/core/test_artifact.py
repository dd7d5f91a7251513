"""The artifact file: survives a round trip, is written whole or not at all, and refuses what is damaged by name."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import FORMAT, VERSION, Artifact, Edge, Layer, load, save


@pytest.fixture
def artifact(make_chain):
    made = make_chain(np.random.default_rng(1), latent_scale=0.1, action_scale=1e-3)
    return replace(made, provenance={"recipe": "test", "seed": 3})


def rewrite(path: Path, change) -> None:
    """Write the file again with `change(header, tensors)` applied."""
    with safe_open(str(path), framework="numpy") as handle:
        header = json.loads(handle.metadata()["artifact"])
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}
    change(header, tensors)
    save_file(tensors, path, metadata={"artifact": json.dumps(header)})


def test_round_trip(artifact, tmp_path):
    again = load(save(artifact, tmp_path / "deep" / "net.safetensors"))
    assert (again.edges, again.scales, again.provenance) == (artifact.edges, artifact.scales, artifact.provenance)
    assert again.synapses == artifact.synapses == 6 * 16 + 16 * 12 + 12 * 4
    for ours, theirs in zip(artifact.layers, again.layers, strict=True):
        for f in fields(Layer):
            a, b = getattr(ours, f.name), getattr(theirs, f.name)
            if isinstance(a, np.ndarray):
                assert (a.dtype, a.tolist()) == (b.dtype, b.tolist()), f.name
            else:
                assert a == b, f.name
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["net.safetensors"]


def test_header_is_the_contract(artifact, tmp_path):
    path = save(artifact, tmp_path / "net.safetensors")
    with safe_open(str(path), framework="numpy") as handle:
        header = json.loads(handle.metadata()["artifact"])
        assert set(handle.keys()) == {f"{n}.{part}" for n in ("h1", "h2", "out") for part in ("weight", "bias")}
    assert set(header) == {"format", "version", "reference", "layers", "edges", "scales", "provenance"}
    assert (header["format"], header["version"]) == ("spikeplan-artifact", 2)
    assert set(header["edges"][0]) == {"src", "dst", "delay_steps", "role"}
    assert set(header["layers"][1]) == {
        "name",
        "kind",
        "n_in",
        "n_out",
        "weight_exp",
        "act",
        "threshold_lsb",
        "shift",
        "message_bits",
        "state_bits",
    }


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.99])
def test_truncated_file(artifact, tmp_path, keep):
    path = save(artifact, tmp_path / "net.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(UserError, match=r"net\.safetensors: truncated.*convert it again"):
        load(path)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(UserError, match=r"absent\.safetensors: no such artifact"):
        load(tmp_path / "absent.safetensors")
    with pytest.raises(UserError, match="no such artifact"):
        load(tmp_path)
    save_file({"x": np.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(UserError, match=rf"foreign\.safetensors: .*no {FORMAT}"):
        load(tmp_path / "foreign.safetensors")
    save_file({"x": np.zeros(2)}, tmp_path / "other.safetensors", metadata={"artifact": "no json"})
    with pytest.raises(UserError, match=r"other\.safetensors: damaged"):
        load(tmp_path / "other.safetensors")


def cut_weight(header, tensors):
    tensors["h2.weight"] = np.ascontiguousarray(tensors["h2.weight"][:, 1:])


def float_weight(header, tensors):
    tensors["h1.weight"] = tensors["h1.weight"].astype(np.float32)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda h, t: h.update(version=VERSION + 1), "version 3, this build reads 2"),
        (lambda h, t: h.update(format="else"), "format 'else'"),
        (lambda h, t: h.pop("edges"), "damaged.*edges"),
        (lambda h, t: h["layers"][1].pop("kind"), "damaged.*kind"),
        (lambda h, t: h["layers"][1].update(colour=1), "damaged.*colour"),
        (
            lambda h, t: h["layers"][1].update(threshold_lsb=255),
            r"layer 'h1': threshold_lsb 255 is below 2\*\*shift = 256",
        ),
        (lambda h, t: h["layers"][0].update(threshold_lsb=1), "layer 'code': threshold_lsb 1 is below"),
        (lambda h, t: h["layers"][1].update(kind="lif"), "layer 'h1': kind 'lif'"),
        (lambda h, t: h["layers"][1].update(act="gelu"), "layer 'h1': activation 'gelu'"),
        (lambda h, t: h["layers"][1].update(shift=-1), "layer 'h1': shift -1"),
        (lambda h, t: h["layers"].append(h["layers"][0]), "must be unique"),
        (lambda h, t: h["layers"][0].update(n_out=7), "layer 'code': a delta coder"),
        (lambda h, t: t.pop("h1.bias"), "layer 'h1': weight or bias is missing"),
        (lambda h, t: t.pop("out.weight"), "layer 'out': weight or bias is missing"),
        (cut_weight, r"layer 'h2': weight is int8\(12, 15\), expected int8\(12, 16\)"),
        (float_weight, "layer 'h1': weight is float32"),
        (lambda h, t: t.update({"h1.bias": t["h1.bias"][:-1].copy()}), r"layer 'h1': bias is int32\(15,\)"),
        (lambda h, t: h["edges"][0].update(dst="h2"), "edge code and h1->h2: 22 outputs meet 16 inputs"),
        (lambda h, t: h["edges"][0].update(dst="h9"), "edge code->h9: layer 'h9' does not exist"),
        (lambda h, t: h["edges"][0].update(role="skip"), "edge code->h1: role 'skip'"),
        (lambda h, t: h["scales"].update(latent=0.0), "scale 'latent' is 0.0"),
        (lambda h, t: h["scales"].update(action=float("nan")), "scale 'action' is nan"),
        (lambda h, t: h["scales"].update(action="1"), "scale 'action' is '1'"),
        (lambda h, t: h.update(layers=[], edges=[]), "at least one"),
    ],
)
def test_refusals_name_file_and_place(artifact, tmp_path, change, complaint):
    path = save(artifact, tmp_path / "net.safetensors")
    rewrite(path, change)
    with pytest.raises(UserError, match=rf"net\.safetensors: .*{complaint}"):
        load(path)


def test_rewriting_alone_changes_nothing(artifact, tmp_path):
    path = save(artifact, tmp_path / "net.safetensors")
    rewrite(path, lambda header, tensors: None)
    assert load(path).scales == artifact.scales


def test_residual_edges_may_join_unlike_widths(artifact):
    residual = [edge for edge in artifact.edges if edge.role == "residual"]
    assert [(edge.src, edge.dst) for edge in residual] == [("out", "code")]
    with pytest.raises(UserError, match="4 outputs meet 6 inputs"):
        replace(artifact, edges=(Edge(src="out", dst="code"),))


def test_unwritable_directory(artifact, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write the artifact.*writable directory"):
        save(artifact, tmp_path / "file" / "net.safetensors")


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["os.replace", "spikeplan.core.ir.artifact.save_file"])
def test_writing_is_atomic(artifact, tmp_path, monkeypatch, error, where):
    path = save(artifact, tmp_path / "net.safetensors")
    before = path.read_bytes()

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(where, fail)
    with pytest.raises(UserError if isinstance(error, OSError) else KeyboardInterrupt):
        save(Artifact(layers=artifact.layers[:1], edges=(), scales={}), path)
    assert os.listdir(tmp_path) == ["net.safetensors"], "no .part is left"
    assert path.read_bytes() == before
