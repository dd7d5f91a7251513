"""`spikeplan doctor`: every part of the installation is used once, for real, and timed."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.core.errors import UserError
from spikeplan.energy.meter import NotReadable, NvmlMeter, RaplMeter
from spikeplan.experiments.runner.output import own_version, versions, write_report
from spikeplan.experiments.runner.progress import working

OPTIONAL = {  # module -> (what for, what installs it)
    "lava": (
        "simulating Loihi 2",
        "pip install --no-deps --ignore-requires-python lava-nc==0.10.0, and the extra lava",
    ),
    "norse": (
        "cross-checks of LIF",
        "pip install --no-deps --ignore-requires-python norse==1.1.0, and the extra norse",
    ),
    "nir": ("reading NIR files", "pip install 'spikeplan[norse]'"),
    "tonic": ("event data sets", "pip install 'spikeplan[events]'"),
    "aedat": ("reading .aedat4", "pip install 'spikeplan[events]'"),
    "faery": ("reading .raw and .es", "pip install 'spikeplan[events]'"),
    "rosbags": ("reading .bag", "pip install 'spikeplan[events]'"),
    "h5py": ("reading .h5 and netx", "pip install 'spikeplan[netx]'"),
    "numba": ("fast event filters and spiking layers", "pip install 'spikeplan[fast]'"),
    "triton": ("plans as one GPU kernel", "pip install 'spikeplan[fused]'"),
    "onnxruntime": ("ONNX files", "pip install 'spikeplan[onnx]'"),
    "zeus": ("reading RAPL", "pip install 'spikeplan[rapl]'"),
    "pynvml": ("reading NVML", "pip install 'spikeplan[gpu]'"),
}
LAVA_STEPS, LAVA_TIMEOUT_S = 20, 120.0


@dataclass(frozen=True, kw_only=True)
class Check:
    """`works` None: not there, and not needed by the core."""

    part: str
    works: bool | None
    says: str
    seconds: float | None = None
    core: bool = False


def timed(part: str, use: Callable[[], str], *, core: bool = False) -> Check:
    """Runs `use`; whatever it raises is this part's answer, not the end of the doctor."""
    began = time.monotonic()
    try:
        said, works = use(), True
    except (UserError, NotReadable) as reason:
        said, works = str(reason), False
    except Exception as error:
        said, works = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", False
    return Check(part=part, works=works, says=said, seconds=round(time.monotonic() - began, 2), core=core)


def plan_once() -> str:
    """The shipped network of one task plans one episode at a small budget."""
    from spikeplan.worldmodel.checkpoint import load_model, shipped
    from spikeplan.worldmodel.planning.cem import CEMPlanner
    from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
    from spikeplan.worldmodel.predictor import DensePredictor
    from spikeplan.worldmodel.tasks import make_world

    task = "two-room"
    model, world = load_model(shipped(task)), make_world(task)
    planner = CEMPlanner(
        DensePredictor(model.predictor),
        model.planner.at(samples=16, iterations=1, elites=4),
        action_dim=world.action_dim,
        action_limit=world.action_limit,
    )
    outcome = run_episodes(
        world, ImageLatent(world, model.encoder), planner, world.sample(1, np.random.default_rng(0)), seed=0
    )
    return f"the shipped network of {task} planned {outcome.actions_NTA.shape[1]} actions"


def lava_once() -> str:
    """A worker starts, computes y = W x from changes of x alone, and ends; every value is held to the product."""
    from spikeplan.core.ir.graph import Delta, Input, Linear, Readout, chain, depths
    from spikeplan.lava_procs.graph.run import run_graph

    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-40, 41, (6, 4))  # even: Lava keeps even values of signed weights only
    nodes = (
        Input(name="x", shape=(4,)),
        Delta(name="code", threshold_lsb=1, message_bits=16),
        Linear(name="w", weight=weight),
        Readout(name="out", bias=np.zeros(1, np.int64)),
    )
    network = chain(nodes, delay_steps=1)
    inputs = rng.integers(-100, 101, (LAVA_STEPS, 4))
    with tempfile.TemporaryDirectory() as folder:
        record = run_graph(network, {"x": inputs}, workdir=folder, timeout_s=LAVA_TIMEOUT_S, form="readable")
    delay = depths(network)["out"]
    expected = (inputs @ weight.T)[: LAVA_STEPS - delay]
    different = int((record.out["out"][delay:] != expected).sum())
    if different:
        raise UserError(f"{different} of {expected.size} values differ from the reference")
    return f"started, {LAVA_STEPS} steps, {expected.size} values equal to the reference, ended"


def gpu_once() -> str:
    import torch

    if not torch.cuda.is_available():
        raise UserError(f"torch {torch.__version__} sees no GPU; planning and Lava need none")
    x = torch.ones(256, 256, device="cuda")
    return f"{torch.cuda.get_device_name()}: {float((x @ x).sum()):.0f} of a product of ones"


def nvml() -> str:
    return NvmlMeter().name


def rapl() -> str:
    return RaplMeter().name


def optional_parts() -> list[Check]:
    return [
        Check(part=name, works=True, says=what)
        if find_spec(name) is not None
        else Check(part=name, works=None, says=f"not installed; for {what}: {install}")
        for name, (what, install) in OPTIONAL.items()
    ]


def machine() -> dict[str, float | int | str | None]:
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        memory = None
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.platform(),
        "cores": usable,
        "memory_GiB": None if memory is None else round(memory, 1),
    }


def state(check: Check) -> str:
    if check.works:
        return "[green]works[/]" if check.seconds is not None else "[green]installed[/]"
    if check.core:
        return "[red]fails[/]"
    return "[yellow]not here[/]" if check.works is False else "[dim]not installed[/]"


def doctor_command(*, json: str | None, console: Console) -> int:
    """Prints what was found; 0 when the core works."""
    with working("using every part once", total=5) as step:
        checks = []
        for part, use, core in (
            ("planning", plan_once, True),
            ("Lava worker", lava_once, False),
            ("GPU", gpu_once, False),
            ("NVML meter", nvml, False),
            ("RAPL meter", rapl, False),
        ):
            checks.append(timed(part, use, core=core))
            step()
    checks += optional_parts()
    works = all(check.works for check in checks if check.core)
    found_versions = {"spikeplan": own_version(), **versions()}
    facts = {
        "works": works,
        "versions": found_versions,
        "machine": machine(),
        "checks": [asdict(check) for check in checks],
    }
    if json is not None:
        write_report(json, facts)
    console.print(", ".join(f"{name} {version}" for name, version in found_versions.items()), highlight=False)
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()), highlight=False)
    table = Table("part", "", "seconds", "says")
    for check in checks:
        seconds = "" if check.seconds is None else f"{check.seconds:.2f}"
        table.add_row(check.part, state(check), seconds, escape(check.says))
    console.print(table)
    console.print("the core works" if works else "the core does not work; see the first row that fails")
    return 0 if works else 1
