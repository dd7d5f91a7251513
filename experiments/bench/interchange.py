"""Part of `spikeplan bench convert`: networks of other tools run here, and fire as they fire there.

nir_graphs_run               NIR files in the folder of `--files` that nir itself reads, and ran here
netx_networks_run            LIF networks among lava-dl's own test files (`make peers`) and in that folder, and ran here
interchange_spikes_different spikes against the source: exports of snnTorch, Norse, sinabs and SpikingJelly against the
                             framework; netx files against netx, and against lava-dl's ground truth where it has one
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from spikeplan.conversion.netx import read_netx
from spikeplan.conversion.nir import read_nir
from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import LIF, Graph, Linear, pipelined
from spikeplan.experiments.bench.peers.exports import EXPORTS, fired, read_back
from spikeplan.experiments.bench.peers.ground_truth import ground_truths, ran
from spikeplan.experiments.bench.peers.netx import netx_installed, run_netx
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.lava_procs import LavaError

STEPS, RATE = 60, 0.3


@dataclass
class Found:
    """Files that ran, of those looked at; spikes that differ, of those compared; what was refused or not compared, and
    why."""

    nir_run: int = 0
    nir_seen: int = 0
    netx_run: int = 0
    netx_seen: int = 0
    different: int = 0
    compared: int = 0
    sources: list[str] = field(default_factory=list)
    nir_refused: list[str] = field(default_factory=list)
    netx_refused: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)

    def add(self, source: str, ours: NDArray[Any], theirs: NDArray[Any]) -> None:
        same = ours.shape == theirs.shape
        self.different += int((ours != theirs).sum()) if same else theirs.size
        self.compared += theirs.size
        self.sources.append(source)
        if not theirs.any():
            self.silent.append(source)


def bench_interchange(console: Console, files: Path | None = None) -> list[BenchRow]:
    """Three rows. `files`: a folder of NIR and netx files of others; nothing is downloaded."""
    found = Found()
    nir_files = [] if files is None else sorted(files.glob("*.nir"))
    netx_files = [*_lava_dl_files(), *([] if files is None else sorted((*files.glob("*.net"), *files.glob("*.h5"))))]
    with progress_bar(console) as bar:
        shown = bar.add_task("bench convert: interchange", total=len(EXPORTS) + len(nir_files) + len(netx_files))
        for name in EXPORTS:
            _export(name, found)
            bar.advance(shown)
        for path in nir_files:
            _nir(path, found)
            bar.advance(shown)
        for path in netx_files:
            _netx(path, found)
            bar.advance(shown)
    for tests in [path.parent for path in _lava_dl_files() if path.name == "tiny.net"]:
        for name, ours, theirs in ground_truths(tests):
            found.add(f"lava-dl's {name}", ours, theirs)
    return rows_of(found)


def rows_of(found: Found) -> list[BenchRow]:
    silent = f"; silent: {', '.join(found.silent)}" if found.silent else ""
    sources = f"of the spikes compared, of {', '.join(found.sources)}{silent}"
    return [
        _row("nir_graphs_run", found.nir_run, found.nir_seen, "of the files that nir itself reads", found.nir_refused),
        _row("netx_networks_run", found.netx_run, found.netx_seen, "of LIF networks", found.netx_refused),
        _row("interchange_spikes_different", found.different, found.compared, sources, found.not_compared, wanted=0),
    ]


def _row(name: str, ours: int, seen: int, unit: str, aside: list[str], wanted: int | None = None) -> BenchRow:
    """`wanted` None: all that were seen. `aside`: what was refused or not compared, and why."""
    goal = "all" if wanted is None else str(wanted)
    if not seen:
        return BenchRow(name=name, ours=None, unit="nothing to run: give --files, or `make peers`", goal=goal)
    return BenchRow(
        name=name,
        ours=ours,
        other=seen,
        unit=unit + (f"; not: {', '.join(aside)}" if aside else ""),
        goal=goal,
        holds=ours == (seen if wanted is None else wanted),
    )


def _export(name: str, found: Found) -> None:
    if find_spec(name) is None or find_spec("nir") is None:
        found.not_compared.append(f"{name} (not installed)")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the framework's own
        export = EXPORTS[name]()
    found.add(name, fired(read_back(export)), export.spikes)


def _nir(path: Path, found: Found) -> None:
    import nir

    try:
        nir.read(path, type_check=False)
    except Exception:  # nir documents that reading raises anything; such a file is nobody's network
        return
    found.nir_seen += 1
    try:
        graph = pipelined(read_nir(path))
        ran(graph, _train(graph, np.random.default_rng(0)), graph.outputs)
        found.nir_run += 1
    except UserError as error:
        found.nir_refused.append(f"{path.name} ({error})")


def _lava_dl_files() -> Iterable[Path]:
    """Test networks in lava-dl's wheel; the ones of sigma-delta neurons have rows of their own in bench lava."""
    if not netx_installed():
        return []
    return sorted(Path(str(f.locate())) for f in metadata.files("lava-dl") or [] if str(f).endswith(".net"))


def _netx(path: Path, found: Found) -> None:
    try:
        graph, _ = read_netx(path, residue="lost")
    except UserError as error:
        found.netx_seen += 1
        found.netx_refused.append(f"{path.name} ({error})")
        return
    if not any(isinstance(node, LIF) for node in graph.nodes):
        return
    found.netx_seen += 1
    given = _train(graph, np.random.default_rng(0))
    ours = ran(graph, given, graph.outputs)[graph.outputs[0]]
    if netx_installed() and not isinstance(graph.node(graph.outputs[0]), Linear):  # netx leaves out a last average
        with tempfile.TemporaryDirectory() as folder:
            try:
                theirs, _ = run_netx(path, given, Path(folder))
                found.add(f"netx on {path.parent.name}/{path.name}", ours, theirs)
            except LavaError:
                found.not_compared.append(f"{path.parent.name}/{path.name} (netx itself fails)")
    found.netx_run += 1


def _train(graph: Graph, rng: np.random.Generator) -> NDArray[np.int64]:
    """Spikes, or values where neurons take the input without synapses: as many as make a first layer of LIF fire."""
    source = graph.source
    shape = (STEPS, *source.shape)
    spikes = (rng.random(shape) < RATE).astype(np.int64)
    direct = any(isinstance(graph.node(edge.dst), LIF) for edge in graph.out_of(source.name))
    return spikes * 60 if direct else spikes
