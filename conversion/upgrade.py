"""Artifacts of version 0.1 become artifacts of version 2: the operating point moves from a hint into the file.

Version 1 kept the reference and a threshold factor that validation chose under provenance["thresholds"]["chosen"], and
every reader had to apply them. Version 2 holds the thresholds that run; those that training left are kept under
provenance["trained_thresholds_lsb"], so that another choice can start from them.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import FORMAT, Artifact, Layer, read_header
from spikeplan.core.ir.edge import Edge

# Names of version 0.1 for what the delta code compares with.
OLD_REFERENCES = {
    "none": "zero",
    "rollout": "previous_step",
    "order": "previous_candidate",
    "mean": "mean_candidate",
    "iteration": "previous_iteration",
}
# Fields of version 1 that never had but one value that any reader ran.
FIXED = {"message_signed": True, "overflow": "saturate", "rounding": "to_zero", "reset": "none", "delay": 0}


def is_version_1(path: str | os.PathLike[str]) -> bool:
    try:
        meta, _ = read_header(path)
    except UserError:
        return False
    return isinstance(meta, dict) and meta.get("format") == FORMAT and meta.get("version") == 1


def upgrade(path: str | os.PathLike[str]) -> Artifact:
    """The network that version 0.1 ran for this file. Raises UserError for a damaged or foreign file.

    >>> artifact.save(upgrade("old.safetensors"), "new.safetensors")
    """
    meta, tensors = read_header(path)
    try:
        if (meta["format"], meta["version"]) != (FORMAT, 1):
            raise ValueError(f"format {meta['format']!r} version {meta['version']}")
        layers = []
        for header in meta["layers"]:
            known = {name: header.pop(name, value) for name, value in FIXED.items()}
            if known != FIXED:
                raise ValueError(f"layer {header['name']!r} has {known}")
            name = header["name"]
            layers.append(Layer(**header, weight=tensors.get(f"{name}.weight"), bias=tensors.get(f"{name}.bias")))
        provenance: dict[str, Any] = dict(meta["provenance"])
        edges = tuple(Edge(**edge) for edge in meta["edges"])
        trained = Artifact(layers=tuple(layers), edges=edges, scales=meta["scales"], provenance=provenance)
        chosen = provenance.get("thresholds", {}).get("chosen", {"axis": "none", "factor": 1.0})
        return at_operating_point(_renamed(trained), OLD_REFERENCES[chosen["axis"]], float(chosen["factor"]))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: no sound artifact of version 0.1 ({error!r}); convert the network again") from error


def at_operating_point(trained: Artifact, reference: str, factor: float) -> Artifact:
    """The network as it runs: thresholds times `factor`, on `reference`; what training left goes into the provenance."""
    left = trained.provenance.get("trained_thresholds_lsb") or {la.name: la.threshold_lsb for la in trained.layers}
    made = as_trained(trained).scaled(factor)
    return replace(made, reference=reference, provenance={**made.provenance, "trained_thresholds_lsb": left})


def as_trained(artifact: Artifact) -> Artifact:
    """The network with the thresholds that training left, before any choice."""
    left = artifact.provenance.get("trained_thresholds_lsb", {})
    layers = tuple(replace(la, threshold_lsb=int(left.get(la.name, la.threshold_lsb))) for la in artifact.layers)
    return replace(artifact, layers=layers)


def _renamed(artifact: Artifact) -> Artifact:
    """Provenance in the words of version 2."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            named = {
                {"axis": "reference", "trained_on_axis": "trained_on_reference"}.get(key, key): walk(one)
                for key, one in value.items()
            }
            if isinstance(named.get("reference"), str):
                named["reference"] = OLD_REFERENCES.get(named["reference"], named["reference"])
            return named
        return [walk(one) for one in value] if isinstance(value, list) else value

    provenance = walk(artifact.provenance)
    on = provenance.get("trained_on_reference")
    if isinstance(on, str):
        provenance["trained_on_reference"] = OLD_REFERENCES.get(on, on)
    return replace(artifact, provenance=provenance)
