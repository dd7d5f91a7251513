"""A delta program before its thresholds are known: dense passes that give its ranges, and its errors once they are known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from spikeplan.core.fixed_point import limit
from spikeplan.snn.delta_program import Anew, Coded, DeltaProgram, State, Step

Rows = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Compiled:
    """A program before its thresholds are known, and what it was compiled from."""

    program: DeltaProgram
    floats: dict[str, Tensor]  # by coded step: the weight before it was rounded
    reevaluated: tuple[tuple[str, int], ...]
    kept_dense: tuple[str, ...]

    @property
    def weights(self) -> int:
        return sum(step.whole.numel() for step in self.program.coded)

    @torch.no_grad()
    def dense(self, z: Tensor, a: Tensor, watch: Any) -> None:
        """Runs it densely; `watch(step, input, output)` sees each coded layer and each operation computed anew."""
        p = self.program
        values: dict[str, Any] = {**p.constants, p.latent: z, p.action: a}
        for step in p.steps:
            weight = {step.args[step.weight].name: self.floats[step.name]} if isinstance(step, Coded) else {}
            args, kwargs = step.arguments({**values, **weight} if weight else values)
            values[step.name] = step.target(*args, **kwargs)
            if isinstance(step, Coded | Anew):
                watch(step, args, values[step.name])
            for name in step.releases:
                del values[name]

    def spreads(self, rows: Rows) -> dict[str, tuple[float, float]]:
        """Largest magnitude and standard deviation: of a coded layer's input, of the output of what is computed anew."""
        sums: dict[str, list[float]] = {}

        def watch(step: Step, args: tuple[Any, ...], out: Any) -> None:
            x = args[step.data] if isinstance(step, Coded) else out
            if isinstance(x, Tensor) and x.is_floating_point():
                found = sums.setdefault(step.name, [0.0, 0.0, 0.0, 0.0])
                found[0] = max(found[0], float(x.abs().max()))
                found[1] += float(x.sum(dtype=torch.float64))
                found[2] += float(x.square().sum(dtype=torch.float64))
                found[3] += x.numel()

        for z, a in rows:
            self.dense(z, a, watch)
        return {
            name: (top, max(squares / n - (total / n) ** 2, 0.0) ** 0.5)
            for name, (top, total, squares, n) in sums.items()
        }

    def errors(self, program: DeltaProgram, rows: Rows) -> dict[str, _Errors]:
        """Of coded layers, in a pass from the zero state."""
        of = {step.name: _Errors() for step in program.coded}
        for z, a in rows:
            got: dict[str, Tensor] = {}
            _, state, _ = program.run(z, a, None, watch=got.__setitem__)
            self.dense(z, a, partial(_compare, of, got, state))
        return of


@dataclass
class _Errors:
    """Of one coded layer, summed over rows: error of its output, what its variance needs, messages, inputs, clipped messages."""

    wrong: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    size: int = 0
    sent: int = 0
    numbers: int = 0
    clipped: int = 0

    @property
    def nmse(self) -> float:
        return self.wrong / max(self.squares - self.total**2 / self.size, 1e-12 * self.size)


def _compare(
    of: dict[str, _Errors], got: dict[str, Tensor], state: State, step: Step, args: tuple[Any, ...], out: Tensor
) -> None:
    if isinstance(step, Coded):
        found, ref = of[step.name], state[step.name][0]
        found.wrong += float((got[step.name] - out).square().sum(dtype=torch.float64))
        found.total += float(out.sum(dtype=torch.float64))
        found.squares += float(out.square().sum(dtype=torch.float64))
        found.size += out.numel()
        found.numbers += ref.numel()
        found.sent += int(ref.count_nonzero())
        found.clipped += int(
            ((ref.abs() >= limit(step.bits) * step.step * (1 - 1e-6)) & (args[step.data].abs() > ref.abs())).sum()
        )
