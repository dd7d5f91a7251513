"""What goes into a replay and what comes out: numpy only, shared with everyone who wants to compare.

`Passes` is a recorded list of predictor evaluations, `Trace` every message and state they produced. The integer
reference fills the same `Trace`, so that `compare` can put the two side by side, value by value.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.files import NUMPY_ERRORS
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.ir.contexts import KEEP, RESET

ROLES = ("messages", "sigma", "ref")


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Inputs of P passes through a network, in order.

    Args:
        x: (P, n_in), in state LSB of the input coder.
        load: (P,), where the state of each pass comes from, as in core/ir/contexts.py.
        save: (P,), where it goes.

    Raises UserError for values that are no integers and for shapes that do not fit each other.

    >>> passes = Passes(x=np.zeros((3, 34), np.int64), load=np.full(3, KEEP), save=np.full(3, KEEP))
    """

    x: NDArray[np.int64]
    load: NDArray[np.int64]
    save: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("x", "load", "save"):
            found = np.asarray(getattr(self, name))
            if found.dtype.kind not in "iu":
                raise UserError(f"passes: {name} is {found.dtype}, expected integers; quantise the input first")
            if found.size and int(found.max()) > np.iinfo(np.int64).max:
                raise UserError(f"passes: {name} reaches {found.max()}, beyond 64 bits")
            object.__setattr__(self, name, np.ascontiguousarray(found, np.int64))
        one_each = (self.x.shape[0],) if self.x.ndim == 2 else None
        if 0 in self.x.shape or not self.load.shape == self.save.shape == one_each:
            raise UserError(
                f"passes: x {self.x.shape}, load {self.load.shape}, save {self.save.shape}; "
                "expected (P, n_in), (P,), (P,) with at least one pass"
            )
        top = limit(STATE_BITS)
        if max(int(self.x.max()), -int(self.x.min())) > top:
            reach = max(int(self.x.max()), -int(self.x.min()))
            raise UserError(f"passes: x reaches {reach}, a state holds {top}; scale it down")
        if self.load.min() < RESET or self.save.min() < KEEP:
            raise UserError(f"passes: load must be >= {RESET} and save >= {KEEP}")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def contexts(self) -> int:
        """Slots that a layer needs; at least one."""
        return 1 + max(0, int(self.load.max()), int(self.save.max()))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write one .npz file with x, load and save."""
        np.savez(path, x=self.x, load=self.load, save=self.save)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        arrays = _read_npz(path)
        try:
            return cls(x=arrays["x"], load=arrays["load"], save=arrays["save"])
        except KeyError as error:
            raise UserError(f"{path}: no array {error}; passes hold x, load and save") from error


@dataclass(frozen=True, kw_only=True)
class Trace:
    """All that P passes did, by layer name in order. Integers from a fixed-point run, float64 from a float run.

    messages, sigma, ref: {layer: (P, n)}, after the pass; a coder has no sigma, the output layer neither messages nor
    ref. value: (P, n_out) of the output layer. saturated: {layer: how often a neuron's sigma hit its limit}.
    """

    messages: dict[str, NDArray[Any]]
    sigma: dict[str, NDArray[Any]]
    ref: dict[str, NDArray[Any]]
    value: NDArray[Any]
    saturated: dict[str, int]

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every recorded array under its name in the .npz file."""
        for layer in self.saturated:
            for role in ROLES:
                recorded: dict[str, NDArray[Any]] = getattr(self, role)
                if layer in recorded:
                    yield f"{layer}.{role}", recorded[layer]
        yield f"{list(self.saturated)[-1]}.value", self.value
        yield "saturated", np.array(list(self.saturated.values()), np.int64)

    def write(self, path: str | os.PathLike[str]) -> None:
        """One .npz: `<layer>.messages|sigma|ref`, `<output layer>.value`, `saturated` in the order of `layers`."""
        with Path(path).open("wb") as handle:  # savez would append .npz to a bare name
            np.savez(handle, layers=np.array(list(self.saturated)), **dict[str, Any](self.arrays()))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        arrays = _read_npz(path)
        try:
            layers = [str(name) for name in arrays["layers"]]
            roles = {
                role: {layer: arrays[f"{layer}.{role}"] for layer in layers if f"{layer}.{role}" in arrays}
                for role in ROLES
            }
            saturated = dict(zip(layers, arrays["saturated"].tolist(), strict=True))
            return cls(**roles, value=arrays[f"{layers[-1]}.value"], saturated=saturated)
        except (KeyError, IndexError, ValueError) as error:
            raise UserError(f"{path}: not a trace ({error}); record it again") from error


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How two traces agree. Zeros agree easily: `nonzero_share` and the spikes by sign say whether an agreement proves anything.

    `first_difference` names the first value that differs, with its layer and index; None where all agree.

    >>> compare(reference, trace).equal
    True
    """

    values_compared: int
    values_different: int
    nonzero_share: dict[str, float]
    positive_crossed: dict[str, int]
    negative_crossed: dict[str, int]
    first_difference: str | None = None

    @property
    def equal(self) -> bool:
        return self.values_compared > 0 and self.values_different == 0


def compare(trace_a: Trace, trace_b: Trace) -> Comparison:
    """Compare two traces exactly, value by value: messages, sigma, ref, output values, saturation counts.

    Densities are those of `trace_a`. Raises UserError where the traces are of different networks or passes.

    >>> found = compare(golden, replay("net.safetensors", passes, timeout_s=600, workdir="runs/replay"))
    >>> found.values_different
    0
    """
    ours, theirs = dict(trace_a.arrays()), dict(trace_b.arrays())
    if list(trace_a.saturated) != list(trace_b.saturated) or ours.keys() != theirs.keys():
        raise UserError(f"traces of different networks: {sorted(ours)} against {sorted(theirs)}")
    compared = different = 0
    first = None
    for name, a in ours.items():
        b = theirs[name]
        if a.shape != b.shape:
            raise UserError(f"traces differ in shape: {name} is {a.shape} against {b.shape}; replay the same passes")
        wrong = np.argwhere(a != b)
        compared += a.size
        different += len(wrong)
        if len(wrong) and first is None:
            at = tuple(int(i) for i in wrong[0])
            first = f"{name}{list(at)}: {a[at]} against {b[at]}"
    return Comparison(
        values_compared=compared,
        values_different=different,
        nonzero_share={layer: float(np.mean(s != 0)) for layer, s in trace_a.messages.items()},
        positive_crossed={layer: int(np.count_nonzero(s > 0)) for layer, s in trace_a.messages.items()},
        negative_crossed={layer: int(np.count_nonzero(s < 0)) for layer, s in trace_a.messages.items()},
        first_difference=first,
    )


def _read_npz(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    try:
        with Path(path).open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except NUMPY_ERRORS as error:
        raise UserError(f"{path}: missing or not an .npz file ({error})") from error
