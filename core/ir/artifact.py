"""Artifact v2: a spiking network as one safetensors file with a JSON header. The file is what runs.

A layer is a group of neurons together with the weights that feed it. Kinds:

    delta        ref, theta, shift; no weight            input coder:  d = x - ref
    sigma_delta  sigma += (W s) << weight_exp            d = act(sigma + bias) - ref
                 s = trunc(d / 2^shift) if |d| >= threshold_lsb else 0;  ref += s << shift
    sigma        sigma += (W s) << weight_exp            value out: trunc((sigma + bias) / 2^shift), on a phase trigger

The operating point is part of the file: `threshold_lsb` of each layer, and `reference`, the earlier pass that the delta
code compares with (core/counts/operations.py lists them). Version 1 kept both as a hint in its provenance.

Edges: `feed` carries messages, `residual` adds a value to the latent once per prediction; without it the value is the next
latent. A layer that several layers feed has the columns of its weight in the order of its feed edges, each shifted by the
edge's own `weight_exp` besides the layer's, for their messages have different LSBs. An edge's delay is how many layers later
its receiver works. Scales are real numbers per LSB: latent = latent_lsb * scales["latent"]; action likewise.
Units: sigma, ref, bias, threshold in state LSB; s in message LSB. Shapes: weight (n_out, n_in).
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from spikeplan.core.counts.operations import REFERENCES
from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.fixed_point import MESSAGE_BITS, STATE_BITS
from spikeplan.core.ir.edge import Edge
from spikeplan.core.tensor_file import FileKind

FORMAT = "spikeplan-artifact"
FILE = FileKind(
    key="artifact",
    name="artifact",
    form=FORMAT,
    make="make one with `spikeplan convert`",
    again="convert it again",
    framework="numpy",
)
VERSION = 2
MAX_PASSES = 1024
MAX_FACTOR = 1000.0  # of thresholds; beyond it nothing is ever sent
LEAST_SCALE = 1e-12  # of a real value a state LSB: beyond it nothing fits 24 bits
KINDS = ("delta", "sigma_delta", "sigma")
ACTIVATIONS = ("identity", "relu")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One group of neurons and its incoming weights."""

    name: str
    kind: str
    n_in: int
    n_out: int
    weight: NDArray[np.int8] | None = None  # (n_out, n_in); None for a delta coder
    weight_exp: int = 0
    bias: NDArray[np.int32] | None = None  # (n_out,)
    act: str = "identity"
    threshold_lsb: int = 1
    shift: int = 0
    message_bits: int = MESSAGE_BITS
    state_bits: int = STATE_BITS

    def __post_init__(self) -> None:
        here = f"layer '{self.name}'"
        self._check_numbers(here)
        if self.kind not in KINDS:
            raise UserError(f"{here}: kind {self.kind!r} is unknown; use one of {', '.join(KINDS)}")
        if self.act not in ACTIVATIONS:
            raise UserError(f"{here}: activation {self.act!r} is unknown; use one of {', '.join(ACTIVATIONS)}")
        if self.shift < 0 or self.weight_exp < 0:
            raise UserError(f"{here}: shift {self.shift} and weight_exp {self.weight_exp} must be >= 0")
        if self.kind in ("delta", "sigma_delta") and self.threshold_lsb < 1 << self.shift:
            raise UserError(
                f"{here}: threshold_lsb {self.threshold_lsb} is below 2**shift = {1 << self.shift}; "
                "raise the threshold so that an idle step sends nothing"
            )
        if self.kind == "delta":
            if self.weight is not None or self.n_in != self.n_out:
                raise UserError(f"{here}: a delta coder has no weight and n_in == n_out")
            return
        if self.weight is None or self.bias is None:
            raise UserError(f"{here}: weight or bias is missing; convert the network again")
        if self.weight.shape != (self.n_out, self.n_in) or self.weight.dtype != np.int8:
            raise UserError(
                f"{here}: weight is {self.weight.dtype}{self.weight.shape}, expected int8({self.n_out}, {self.n_in})"
            )
        if self.bias.shape != (self.n_out,) or self.bias.dtype != np.int32:
            raise UserError(f"{here}: bias is {self.bias.dtype}{self.bias.shape}, expected int32({self.n_out},)")

    def _check_numbers(self, here: str) -> None:
        for name, low, high in (
            ("n_in", 1, 2**31),
            ("n_out", 1, 2**31),
            ("weight_exp", 0, 62),
            ("shift", 0, 40),
            ("threshold_lsb", 1, 2**40),
            ("message_bits", 1, 32),
            ("state_bits", 2, 48),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
                raise UserError(f"{here}: {name} {str(value)[:40]} must be an integer from {low} to {high}")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A whole network. `layers` are in order of computation. `reference`: one of core.counts.operations.REFERENCES. `passes`: of
    one prediction, all on the same input; more than one where a message is too small to say a value at once."""

    layers: tuple[Layer, ...]
    edges: tuple[Edge, ...]
    scales: dict[str, float]
    reference: str = "zero"
    passes: int = 1
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if not names or len(set(names)) != len(names):
            raise UserError(f"artifact: layer names {names} must be unique and at least one")
        if self.reference not in REFERENCES:
            raise UserError(
                f"artifact: reference {self.reference!r:.40} is unknown; use one of {', '.join(REFERENCES)}"
            )
        if isinstance(self.passes, bool) or not isinstance(self.passes, int) or not 1 <= self.passes <= MAX_PASSES:
            raise UserError(f"artifact: passes {self.passes!r:.40} must be an integer from 1 to {MAX_PASSES}")
        by_name = dict(zip(names, self.layers, strict=True))
        for edge in self.edges:
            for end in (edge.src, edge.dst):
                if end not in by_name:
                    raise UserError(f"edge {edge.src}->{edge.dst}: layer {end!r} does not exist")
        for layer in self.layers:
            into = self.feeds(layer.name)
            outputs = sum(by_name[edge.src].n_out for edge in into)
            if into and outputs != layer.n_in:
                raise UserError(
                    f"edge {' and '.join(edge.src for edge in into)}->{layer.name}: {outputs} outputs meet "
                    f"{layer.n_in} inputs; convert the network again"
                )
        if not isinstance(self.provenance, dict):
            raise UserError(f"artifact: provenance is {type(self.provenance).__name__}, expected an object")
        for name, scale in self.scales.items():
            sane = isinstance(scale, float | int) and LEAST_SCALE <= scale <= 1 / LEAST_SCALE
            if not sane:
                raise UserError(
                    f"artifact: scale {name!r} is {scale!r:.40}; it must be from {LEAST_SCALE} to {1 / LEAST_SCALE}"
                )

    def scaled(self, factor: float) -> Artifact:
        """The same network with every threshold times `factor`, never below one message LSB.

        Raises UserError for a factor that is not above 0 and at most MAX_FACTOR.

        >>> finer = artifact.scaled(0.25)
        """
        if not 0 < factor <= MAX_FACTOR:
            raise UserError(f"threshold factor {factor:g}: it must be above 0 and at most {MAX_FACTOR:g}")
        layers = tuple(
            layer
            if layer.kind == "sigma"
            else replace(layer, threshold_lsb=max(1 << layer.shift, round(layer.threshold_lsb * factor)))
            for layer in self.layers
        )
        return replace(self, layers=layers)

    def layer(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)

    def feeds(self, name: str) -> tuple[Edge, ...]:
        """The edges that bring messages to a layer, in the order of its weight's columns."""
        return tuple(edge for edge in self.edges if edge.role == "feed" and edge.dst == name)

    @property
    def is_chain(self) -> bool:
        """Each layer is fed by the one before it alone, one step later."""
        names = [layer.name for layer in self.layers]
        feeds = [(e.src, e.dst, e.delay_steps, e.weight_exp) for e in self.edges if e.role == "feed"]
        return sorted(feeds) == sorted((before, after, 1, 0) for before, after in pairwise(names))

    @property
    def residual(self) -> bool:
        """The output is added to the latent; otherwise it is the next latent."""
        return any(edge.role == "residual" for edge in self.edges)

    def need(self, what: str, *, residual: bool = False) -> None:
        """Refuse a network that branches, for `what` takes chains; with `residual`, also one that adds nothing to the latent."""
        if not self.is_chain:
            raise UserError(
                f"artifact: its layers branch, and {what} takes a chain; run it in PyTorch, or convert a network without skips"
            )
        if self.passes > 1:
            raise UserError(
                f"artifact: a prediction takes {self.passes} passes, and {what} makes one; "
                "run it in PyTorch, or convert with more bits"
            )
        if residual and not self.residual:
            raise UserError(
                f"artifact: its output is the next latent, and {what} adds an output to the latent; "
                "run it in PyTorch, or convert a predictor of the form z + f(z, a)"
            )

    @property
    def synapses(self) -> int:
        """Weights of all layers: the dense MACs of one pass."""
        return sum(0 if layer.weight is None else layer.weight.size for layer in self.layers)


def save(artifact: Artifact, path: str | os.PathLike[str]) -> Path:
    """Write atomically (temporary name, then rename)."""
    target = Path(path)
    tensors: dict[str, NDArray[Any]] = {}
    layers = []
    for layer in artifact.layers:
        header = {f.name: getattr(layer, f.name) for f in fields(Layer) if f.name not in ("weight", "bias")}
        layers.append(header)
        if layer.weight is not None and layer.bias is not None:
            tensors[f"{layer.name}.weight"] = np.ascontiguousarray(layer.weight)
            tensors[f"{layer.name}.bias"] = np.ascontiguousarray(layer.bias)
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "reference": artifact.reference,
        "layers": layers,
        "edges": [_edge_header(edge) for edge in artifact.edges],
        "scales": artifact.scales,
        "provenance": artifact.provenance,
        **(
            {} if artifact.passes == 1 else {"passes": artifact.passes}
        ),  # left out, so that builds without it read a chain
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, lambda path: save_file(tensors, path, metadata=FILE.metadata(meta)))
    except OSError as error:
        raise UserError(f"{target}: cannot write the artifact ({error}); choose a writable directory") from error
    return target


def _edge_header(edge: Edge) -> dict[str, Any]:
    """A shift of 0 is left out: chains stay readable by builds that know none."""
    return {name: value for name, value in asdict(edge).items() if name != "weight_exp" or value}


def load(path: str | os.PathLike[str]) -> Artifact:
    """Read and validate; anything amiss is a UserError that names the file."""
    source, (meta, tensors) = Path(path), read_header(path)
    try:
        return _parse(meta, tensors)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{source}: damaged {FORMAT} header ({error!r}); convert it again") from error


def read_header(path: str | os.PathLike[str]) -> tuple[Any, dict[str, NDArray[Any]]]:
    """The JSON header and the tensors of an artifact file of any version, not validated."""
    return FILE.read(path)


def _parse(meta: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Artifact:
    if meta["format"] != FORMAT:
        raise UserError(f"format {meta['format']!r} is not {FORMAT!r}")
    if meta["version"] == 1:
        raise UserError(
            "an artifact of version 0.1, whose thresholds are not those that ran; "
            "upgrade it with `spikeplan convert OLD --out NEW`"
        )
    if meta["version"] != VERSION:
        raise UserError(f"artifact version {meta['version']}, this build reads {VERSION}; convert the network again")
    layers = tuple(
        Layer(**header, weight=tensors.get(f"{header['name']}.weight"), bias=tensors.get(f"{header['name']}.bias"))
        for header in meta["layers"]
    )
    edges = tuple(Edge(**edge) for edge in meta["edges"])
    return Artifact(
        layers=layers,
        edges=edges,
        scales=meta["scales"],
        reference=meta["reference"],
        provenance=meta["provenance"],
        passes=meta.get("passes", 1),
    )
