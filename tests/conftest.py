"""One thread a process and the longest files first; random chains that gate, and one pass of them in plain numpy.

pytest-xdist gives each core one process, and whole files go to it, because most fixtures are of a module. Threads of
BLAS, OpenMP and numba would fight over the cores: with them the suite took 60 % more processor time.

`plain_pass` is written from the definition in core/ir/artifact.py, one number after the other, and shares no code with
snn/ or lava_procs/.
"""

from __future__ import annotations

import os

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_threads] = "1"  # read when numpy, torch and numba are imported, by every child process too

if "PYTEST_XDIST_WORKER" in os.environ:  # pools of the package would start a process a core in each of the suite's
    os.cpu_count = lambda: 1

import json
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from spikeplan.core.ir.artifact import Artifact, Edge, Layer

DURATIONS = Path(__file__).parent / "durations.json"  # seconds a file; `make durations` writes it
SLOW_S = 5.0  # what takes longer is marked slow

Ints = NDArray[np.int64]
State = dict[str, tuple[Ints, Ints]]  # layer -> (sigma, ref)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store-durations", action="store_true", help="write tests/durations.json after the run")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no core is idle at the end; within a file the order stays."""
    seconds = json.loads(DURATIONS.read_text()) if DURATIONS.is_file() else {}
    items.sort(key=lambda item: -seconds.get(item.location[0], 0.0))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """With --store-durations: write the seconds of each file, and name what is slow and not marked so."""
    if not config.getoption("--store-durations"):
        return
    files: defaultdict[str, float] = defaultdict(float)
    tests: defaultdict[str, float] = defaultdict(float)
    marked: set[str] = set()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                files[report.nodeid.split("::")[0]] += report.duration
                tests[report.nodeid] += report.duration
                marked |= {report.nodeid} if "slow" in report.keywords else set()
    longest_first = sorted(files.items(), key=lambda entry: -entry[1])
    DURATIONS.write_text(json.dumps({name: round(seconds, 1) for name, seconds in longest_first}, indent=1) + "\n")
    for name, seconds in sorted(tests.items(), key=lambda entry: -entry[1]):
        if seconds > SLOW_S and name not in marked:
            terminalreporter.write_line(f"{seconds:.1f} s and not marked slow: {name}")


class Plain(NamedTuple):
    messages: dict[str, Ints]
    value: Ints
    state: State
    clipped: dict[str, int]
    saturated: dict[str, int]


def _divide(x: Ints, k: int) -> Ints:
    """Toward zero, through exact rational division: no shift."""
    return np.array([int(v) // 2**k if v >= 0 else -(-int(v) // 2**k) for v in x], np.int64)


def _plain_pass(artifact: Artifact, x: Ints, state: State | None) -> Plain:
    state = state or {la.name: (np.zeros(la.n_out, np.int64), np.zeros(la.n_out, np.int64)) for la in artifact.layers}
    messages, new, clipped, saturated = {}, {}, {}, {}
    s = x.astype(np.int64)
    for layer in artifact.layers:
        sigma, ref = state[layer.name]
        clipped[layer.name] = saturated[layer.name] = 0
        target = s
        if layer.kind != "delta":
            assert layer.weight is not None
            assert layer.bias is not None
            sigma = sigma + layer.weight.astype(np.int64) @ s * 2**layer.weight_exp
            top = 2 ** (layer.state_bits - 1) - 1
            saturated[layer.name] = int((abs(sigma) > top).sum())
            sigma = np.minimum(np.maximum(sigma, -top), top)
            target = sigma + layer.bias
            if layer.act == "relu":
                target = np.where(target > 0, target, 0)
        if layer.kind == "sigma":
            new[layer.name] = (sigma, ref)
            return Plain(messages, _divide(target, layer.shift), new, clipped, saturated)
        d = target - ref
        wanted = np.where(abs(d) >= layer.threshold_lsb, _divide(d, layer.shift), 0)
        top = 2 ** (layer.message_bits - 1) - 1
        clipped[layer.name] = int((abs(wanted) > top).sum())
        s = np.minimum(np.maximum(wanted, -top), top)
        new[layer.name] = (sigma, ref + s * 2**layer.shift)
        messages[layer.name] = s
    raise AssertionError("no output layer")


def _make_chain(
    rng: np.random.Generator,
    sizes: tuple[int, ...] = (6, 16, 12, 4),
    *,
    shifts: tuple[int, ...] = (1, 8, 9, 3),
    thresholds: tuple[int, ...] = (5, 700, 1300),
    weight_exps: tuple[int, ...] = (0, 1, 0),
    hidden_act: str = "relu",
    latent_scale: float = 1.0,
    action_scale: float = 1.0,
) -> Artifact:
    layers = [
        Layer(name="code", kind="delta", n_in=sizes[0], n_out=sizes[0], threshold_lsb=thresholds[0], shift=shifts[0])
    ]
    for i, (n_in, n_out) in enumerate(pairwise(sizes), 1):
        last = i == len(sizes) - 1
        layers.append(
            Layer(
                name="out" if last else f"h{i}",
                kind="sigma" if last else "sigma_delta",
                n_in=n_in,
                n_out=n_out,
                weight=rng.integers(-127, 128, (n_out, n_in)).astype(np.int8),
                weight_exp=weight_exps[i - 1],
                bias=rng.integers(-900, 900, n_out).astype(np.int32),
                act="identity" if last else hidden_act,
                shift=shifts[i],
                threshold_lsb=1 if last else thresholds[i],
                message_bits=24 if last else 8,
            )
        )
    edges = tuple(Edge(src=a.name, dst=b.name) for a, b in pairwise(layers))
    edges += (Edge(src="out", dst="code", role="residual"),)
    return Artifact(layers=tuple(layers), edges=edges, scales={"latent": latent_scale, "action": action_scale})


@pytest.fixture(scope="session")
def plain_pass() -> Callable[..., Plain]:
    return _plain_pass


@pytest.fixture(scope="session")
def make_chain() -> Callable[..., Artifact]:
    """make_chain(rng, sizes, ...): at the defaults all senders send both signs and zeros on walks of step ~20."""
    return _make_chain


@pytest.fixture(scope="session")
def artifact(make_chain: Callable[..., Artifact]) -> Artifact:
    """A small network to plan with in integers: an action limit of 0.08 takes 13 bits at its scale."""
    return make_chain(
        np.random.default_rng(5),
        (8, 24, 20, 6),
        shifts=(2, 3, 3, 0),
        thresholds=(4, 8, 8),
        weight_exps=(0, 0, 0),
        latent_scale=1e-3,
        action_scale=1.1e-5,
    )


@pytest.fixture
def make_predictor() -> Callable[..., Any]:
    """A small random dense predictor whose output moves the latent by a tenth of its size, and its calibration data."""
    torch = pytest.importorskip("torch")
    from spikeplan.worldmodel.predictor import ResidualPredictor

    def make(seed: int = 0, latent: int = 6, action: int = 2, hidden: tuple[int, ...] = (48, 48)) -> Any:
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            predictor = ResidualPredictor(latent, action, hidden)
        with torch.no_grad():
            for linear in predictor.linears()[:-1]:
                linear.weight.mul_(2.0)
        return (
            predictor,
            torch.randn(4000, latent, generator=generator),
            torch.rand(4000, action, generator=generator) - 0.5,
        )

    return make
