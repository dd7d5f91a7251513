"""`spikeplan energy measure`: one plan of the dense planner on this machine's meters, in every way it can run, idle subtracted.

    eager    torch, an operation at a time: what a planner is as it is written
    graph    the same operations as a CUDA graph: no launches from the host
    fused    one Triton kernel for the whole plan (worldmodel/planning/fused)

The work is one action's: `iterations` x `horizon` predictions of all candidates by the shipped dense network, their distance to
the goal, the choice of the elites and the refit. Latents and noise are drawn once. CPU: RAPL, eager alone; GPU: NVML; Jetson:
the module's power monitor. One way after the other, each between its own pauses. What cannot be read is a row that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from rich.console import Console
from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.core.format import joule, quantity
from spikeplan.core.planning import CEMConfig
from spikeplan.energy.measured import MeasuredRow, to_file
from spikeplan.energy.meter import JetsonMeter, Measured, Meter, NotReadable, NvmlMeter, RaplMeter, measure
from spikeplan.evaluation.shard import bundle_of
from spikeplan.experiments.runner.output import versions, write_report
from spikeplan.experiments.runner.progress import working
from spikeplan.worldmodel.mac_counter import count_macs
from spikeplan.worldmodel.planning.fused import FusedPlanner, torch_plan
from spikeplan.worldmodel.planning.fused.weights import PRECISIONS
from spikeplan.worldmodel.predictor import ResidualPredictor
from spikeplan.worldmodel.tasks import make_world

SEED = 0
CUDA_WAYS = ("eager", "graph", "fused")


class Place(NamedTuple):
    """A meter, and where torch runs what it measures."""

    meter: Meter
    torch_device: str


class Plan:
    """One action's plan, of the same inputs for every way: S candidates around no plan, from a latent to a goal drawn once."""

    def __init__(
        self,
        predictor: ResidualPredictor,
        config: CEMConfig,
        *,
        action_limit: float,
        precision: str,
        device: str = "cpu",
    ) -> None:
        generator = torch.Generator().manual_seed(SEED)
        self.config, self.action_limit, self.precision, self.device = config, action_limit, precision, device
        self.predictor = deepcopy(predictor).eval().to(device)
        self.latent_BD, self.goal_BD = torch.randn(2, 1, predictor.latent_dim, generator=generator).to(device)
        self.noise_BSVA = torch.randn(
            1, config.samples, config.variables, predictor.action_dim, generator=generator
        ).to(device)
        self.noise_BSVA[:, 0] = 0.0
        self.half = deepcopy(self.predictor.net).half() if precision == "fp16" else None

    @property
    def macs(self) -> int:
        """Of its predictions; a distance and a choice have none."""
        rows = self.latent_BD.expand(self.config.samples, -1), self.noise_BSVA[0, :, 0]
        return count_macs(self.predictor, *rows).macs.total * self.config.iterations * self.config.horizon

    def predict(self, latent: Tensor, action: Tensor) -> Tensor:
        """The next latent; in fp16 the layers' products, while latents and their change stay fp32, as in the kernel."""
        if self.half is None:
            after: Tensor = self.predictor(latent, action)
            return after
        change: Tensor = self.half(torch.cat([latent, action], -1).half())
        return latent + change.float()

    def mean(self) -> Tensor:
        """The plan (B, V, A), in torch."""
        return torch_plan(
            self.predict, self.config, self.latent_BD, self.goal_BD, self.noise_BSVA, action_limit=self.action_limit
        )

    def eager(self) -> Callable[[], object]:
        """An operation at a time, waited for."""
        return _waited(self.mean, self.device)

    def graph(self) -> Callable[[], object]:
        """The same operations as one CUDA graph."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # torch asks for some runs before a capture
                self.mean()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.mean()
        return _waited(graph.replay, self.device)

    def fused(self) -> Callable[[], object]:
        """One kernel. Raises UserError where Triton is missing."""
        planner = FusedPlanner(
            self.predictor,
            self.config,
            action_limit=self.action_limit,
            precision=self.precision,
            device=self.device,
        )
        buffers = planner.buffers(1)
        buffers["latent"][:, : self.latent_BD.shape[1]] = self.latent_BD
        buffers["goal"][:, : self.goal_BD.shape[1]] = self.goal_BD
        buffers["noise"].copy_(self.noise_BSVA)
        return _waited(lambda: planner.launch(buffers), self.device)


def _waited(work: Callable[[], object], device: str) -> Callable[[], object]:
    def run() -> None:
        work()
        if device != "cpu":
            torch.cuda.synchronize()

    return run


@contextmanager
def matmuls(precision: str) -> Iterator[None]:
    """torch's own products in tf32, or in full."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def rapl_place() -> Place:
    return Place(RaplMeter(), "cpu")


def nvml_place() -> Place:
    return Place(NvmlMeter(), _cuda("NVML: a GPU is there"))


def jetson_place() -> Place:
    return Place(JetsonMeter(), _cuda("Jetson: its power monitor is there"))


def _cuda(there: str) -> str:
    if not torch.cuda.is_available():
        raise NotReadable(f"{there}, but this torch has no CUDA to run the planner on it")
    return "cuda"


PLACES: dict[str, Callable[[], Place]] = {"cpu": rapl_place, "gpu": nvml_place, "jetson": jetson_place}


def measure_planner(
    task: str, seconds: float, precision: str = "fp32", places: dict[str, Callable[[], Place]] | None = None
) -> tuple[list[MeasuredRow], dict[str, str]]:
    """A row for each place and way that can be read, and why the others cannot, by place or "place, way".

    Raises UserError for seconds that are not finite and > 0 and for an unknown precision.

    >>> rows, unreadable = measure_planner("two-room", 2.0)
    """
    if not 0 < seconds < float("inf"):
        raise UserError(f"--seconds {seconds} must be finite and > 0")
    if precision not in PRECISIONS:
        raise UserError(f"--precision {precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
    model, limit = bundle_of(task, None, None).model, make_world(task).action_limit
    rows, unreadable = [], {}
    for place, start in (PLACES if places is None else places).items():
        try:
            meter, device = start()
        except NotReadable as reason:
            unreadable[place] = str(reason)
            continue
        on_cpu = device == "cpu"
        plan = Plan(
            model.predictor,
            model.planner,
            action_limit=limit,
            precision="fp32" if on_cpu else precision,  # a CPU's fp16 is emulated
            device=device,
        )
        for way in ("eager",) if on_cpu else CUDA_WAYS:
            try:
                with matmuls(plan.precision):
                    found = measure(meter, getattr(plan, way)(), least_s=seconds, idle_s=seconds)
            except (NotReadable, UserError) as reason:
                unreadable[f"{place}, {way}"] = str(reason)
                continue
            rows.append(row_of(place, way, task, plan, meter.device, found))
    return rows, unreadable


def row_of(place: str, way: str, task: str, plan: Plan, device: str, found: Measured) -> MeasuredRow:
    return MeasuredRow(
        device=device,
        place=place,
        way=way,
        task=task,
        budget=plan.config.label,
        precision=plan.precision,
        macs=plan.macs,
        meter=found.meter,
        runs=found.runs,
        seconds=found.seconds,
        gross_J=found.gross_J,
        idle_W=found.idle_W,
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    found = versions(("spikeplan", "torch", "triton", "zeus", "nvidia-ml-py"))
    return found | {"cuda": str(torch.version.cuda or "none")}


def measure_command(*, task: str, seconds: float, precision: str, json: str | None, console: Console) -> None:
    with working("measuring"):
        rows, unreadable = measure_planner(task, seconds, precision)
    if json is not None:
        write_report(json, to_file(rows, unreadable))
    console.print(f"one action's plan of {task}, by the dense predictor", markup=False)
    for row in rows:
        console.print(told(row), markup=False, highlight=False)
    for place, why in unreadable.items():
        console.print(f"{place}: not readable here. {why}", markup=False, highlight=False)


def told(row: MeasuredRow) -> str:
    """A row in words."""
    line: dict[str, Any] = row.to_json()
    net, per = row.net_J, line["pJ_per_mac"]
    return (
        f"{row.place}, {row.way}, {row.precision}: measured. {joule(net.nominal)} above idle "
        f"({joule(net.low)} to {joule(net.high)}), {joule(row.gross_J)} in all, {quantity(row.seconds, 's')}; "
        f"idle {row.idle_W.nominal:.4g} W ({row.idle_W.low:.4g} to {row.idle_W.high:.4g}); {row.runs} runs of {row.macs:,} MACs"
        + ("" if per is None else f", {per:.3g} pJ a MAC")
        + f". {row.device}, {row.meter}: {line['note']}"
    )
