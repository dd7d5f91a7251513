"""What a reader's own network costs: operation counts of one call, and a comparison over machines.

    profile(net, inputs)                 any torch module: MACs by module as they run, bytes of weights, activations
    profile(predictor, (latent, action)) anything behind the Predictor contract, dense or spiking
    compare({name: profile}, machines)   Joules and time of one call on each machine that can run it

Counts are simulated and energies are estimates; nothing here is measured. Weight memory is counted, so that the price of
fetching weights is not forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import torch
from torch import Tensor, nn

from spikeplan import energy
from spikeplan.core.counts.operations import BYTES, LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.format import DASH, joule, quantity, several
from spikeplan.core.frame import frame
from spikeplan.worldmodel.mac_counter import count_macs

COLUMNS = ("name", "machine", "schedule", "joules", "low", "high", "seconds")


@dataclass(frozen=True)
class Profile:
    """Operation counts of `op_counts.actions` calls of one network."""

    op_counts: OperationCounts

    @property
    def schedules(self) -> tuple[str, ...]:
        return ("sequential", "interleaved") if self.op_counts.spiking else ("batched",)

    @property
    def macs(self) -> float:
        """MACs a call; for a spiking network those that the dense one would take."""
        return sum(c.dense_macs or c.macs for _, c in self.op_counts.counts()) / self.op_counts.actions

    @property
    def synops(self) -> float:
        """Synaptic operations a call; 0 for a dense network."""
        return sum(c.synops for _, c in self.op_counts.counts()) / self.op_counts.actions

    def __str__(self) -> str:
        made = f"{self.synops:,.0f} synops of " if self.op_counts.spiking else ""
        calls = several(self.op_counts.actions, "call")
        return f"{made}{self.macs:,.0f} MACs a call, {self.op_counts.precision}, {calls} counted"


def profile(network: Any, inputs: Tensor | Sequence[Tensor], *, precision: str = "int8") -> Profile:
    """Operation counts of a network on these inputs, a row a call.

    Args:
        network: a torch module called as `network(*inputs)`, or a predictor with `begin` and `step`.
        inputs: one tensor or several, each with a leading axis of calls. A predictor takes (latent (N, D), action (N, A)).
        precision: of a torch module's weights and activations, one of int8, fp16, bf16, fp32; a predictor has its own.

    Returns the counts; raises UserError for inputs that do not fit and for modules whose products cannot be counted.

    >>> profile(torch.nn.Linear(100, 10), torch.rand(1, 100)).macs
    1000.0
    """
    tensors = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if not tensors or any(not isinstance(t, Tensor) or t.dim() < 1 for t in tensors):
        raise UserError("profile: inputs are one tensor or several, each with a leading axis of calls")
    calls = len(tensors[0])
    if calls < 1 or any(len(t) != calls for t in tensors):
        raise UserError(f"profile: inputs of {[len(t) for t in tensors]} calls; give each the same number, at least 1")
    if hasattr(network, "step") and hasattr(network, "begin"):
        return _predictor(network, tensors, calls)
    if not isinstance(network, nn.Module):
        raise UserError(f"profile: a {type(network).__name__} is no torch module and no predictor; wrap it in one")
    if precision not in BYTES:
        raise UserError(f"profile: precision {precision!r} is unknown; use one of {', '.join(BYTES)}")
    return _module(network, tensors, calls, precision)


def _module(network: nn.Module, inputs: tuple[Tensor, ...], calls: int, precision: str) -> Profile:
    sides: dict[str, tuple[int, int]] = {}
    hooks = [
        part.register_forward_hook(lambda _, given, out, name=name: _note(sides, name, given, out))
        for name, part in network.named_modules()
    ]
    training = network.training
    network.eval()
    try:
        counted = count_macs(network, *inputs)
    except (RuntimeError, TypeError, ValueError) as error:
        detail = " ".join(str(error).split())[:160]
        raise UserError(f"profile: {type(network).__name__} does not take these inputs ({detail})") from error
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    op_counts = OperationCounts(method=type(network).__name__, reference="zero", precision=precision, spiking=False)
    parts = dict(network.named_modules())
    for name, macs in counted.layers.items():
        reads, writes = sides.get(name, (0, 0))
        counts = LayerCounts(
            layer=name or "module",
            macs=macs.total,
            dense_macs=macs.total,
            calls=calls,
            state_reads=reads,
            state_writes=writes,
        )
        op_counts.add("predictor", counts)
        weights = sum(p.numel() for p in parts[name].parameters(recurse=False)) if name in parts else 0
        op_counts.set_memory(name or "module", weight_bytes=BYTES[precision] * weights, state_bytes=0)
    if not counted.layers:
        raise UserError(f"profile: {type(network).__name__} multiplies nothing on these inputs")
    op_counts.actions = calls
    return Profile(op_counts)


def _note(sides: dict[str, tuple[int, int]], name: str, given: Any, out: Any) -> None:
    read = sum(t.numel() for t in given if isinstance(t, Tensor))
    wrote = out.numel() if isinstance(out, Tensor) else 0
    known = sides.get(name, (0, 0))
    sides[name] = (known[0] + read, known[1] + wrote)


def _predictor(network: Any, inputs: tuple[Tensor, ...], calls: int) -> Profile:
    if len(inputs) != 2:
        raise UserError(f"profile: a predictor takes (latent, action), {len(inputs)} inputs were given")
    latent, action = inputs
    sequential, interleaved = network.pipeline_steps
    op_counts = OperationCounts(
        method=type(network).__name__,
        reference="zero",
        precision=network.precision,
        spiking=network.spiking,
        sequential_steps=sequential,
        interleaved_steps=interleaved,
    )
    with torch.no_grad():
        state = network.begin(latent, action[:, None, None], "zero")
        _, _, counts = network.step(latent[:, None], action[:, None], state)
    for layer in counts:
        op_counts.add("predictor", layer)
    for name, (weights, states) in network.memory().items():
        op_counts.set_memory(name, weight_bytes=weights, state_bytes=states)
    op_counts.actions = calls
    return Profile(op_counts)


@dataclass(frozen=True)
class Comparison:
    """Rows of `compare`: dicts with COLUMNS and the evidence; `refused`: which machine could not be priced, and why."""

    rows: list[dict[str, Any]]
    refused: list[dict[str, str]] = field(default_factory=list)

    @property
    def winner(self) -> dict[str, Any]:
        """The row with the least nominal energy. Bands may overlap: look at low and high."""
        return min(self.rows, key=lambda row: row["joules"])

    def to_pandas(self) -> Any:
        """A pandas.DataFrame of the rows. Raises UserError where pandas is missing."""
        return frame(self.rows)

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                row["name"],
                row["machine"],
                row["schedule"],
                joule(row["joules"]),
                f"{joule(row['low'])} .. {joule(row['high'])}",
                DASH if row["seconds"] is None else quantity(row["seconds"], "s"),
            )
            for row in self.rows
        ]

    def __str__(self) -> str:
        lines = [("name", "machine", "schedule", "energy a call", "low .. high", "time"), *self._cells()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        table = "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )
        best = self.winner
        return f"{table}\nleast: {best['name']} on {best['machine']}; estimates from counts, nothing was measured"

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th>{name}</th>" for name in ("name", "machine", "schedule", "energy a call", "low .. high", "time")
        )
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in self._cells()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def compare(profiles: Mapping[str, Profile], machines: Sequence[str] | None = None) -> Comparison:
    """Energy and time of one call of each network on each machine that can run it (scope system).

    Args:
        profiles: name -> what `profile` counted.
        machines: names of the catalogue (`spikeplan list machines`); all of them where not given.

    Raises UserError for an unknown machine, and where no machine can be priced.

    >>> print(compare({"mine": profile(net, inputs)}, ["orin_nano", "h100"]))
    """
    if not isinstance(profiles, Mapping):
        raise UserError(
            f'compare: a {type(profiles).__name__} was given; name each profile: compare({{"mine": profile}})'
        )
    if not profiles:
        raise UserError("compare: no profile was given")
    for name, one in profiles.items():
        if not isinstance(one, Profile):
            raise UserError(f"compare: {name!r} is a {type(one).__name__}; count it first: profile(network, inputs)")
    if isinstance(machines, str):
        raise UserError(f"compare: machines is the text {machines!r}; give a list: machines=[{machines!r}]")
    catalogue = energy.default()
    names = tuple(catalogue.devices) if machines is None else tuple(machines)
    devices = {name: catalogue.device(name) for name in names}
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    for name, one in profiles.items():
        counts = one.op_counts
        for schedule in one.schedules:
            for machine, device in devices.items():
                setup = energy.Setup(assume_graded=not device.graded_messages)
                try:
                    e = energy.estimate(
                        device, counts.rows(schedule), counts.actions, scope="system", extent="loop", setup=setup
                    )
                except UserError as error:
                    refused.append({"name": name, "machine": machine, "reason": str(error)})
                    continue
                rows.append(
                    {
                        "name": name,
                        "machine": machine,
                        "schedule": schedule,
                        "joules": e.nominal,
                        "low": e.low,
                        "high": e.high,
                        "seconds": e.latency_s,
                        "evidence": e.evidence,
                    }
                )
    if not rows:
        raise UserError(f"compare: no machine can be priced; the first says: {refused[0]['reason']}")
    return Comparison(rows, refused)
