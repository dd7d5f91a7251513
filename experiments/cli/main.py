"""The command line: `spikeplan demo | results | train | plan | planners | fuse | convert | check | place | bench | events |
lava | energy`.

Bad input ends in one line (what, where, remedy) on stderr and exit code 2.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import wraps
from types import FrameType
from typing import Any

import tyro
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.experiments.cli.energy import ENERGY
from spikeplan.experiments.cli.events import EVENTS
from spikeplan.experiments.cli.events_more import PROCESS
from spikeplan.lava_procs import LavaError


def demo(out: str = "results/demo") -> None:
    """The main job in its small form: 100 paired episodes a task, one planner seed."""
    from pathlib import Path

    from spikeplan.experiments.main_study.grid import DEMO
    from spikeplan.experiments.main_study.run import run_main

    run_main("demo", DEMO, Path(out), Console())


def results(out: str = "results/full") -> None:
    """The full comparison: 300 paired episodes a task and method x 3 planner seeds, the front, random doors. Resumes."""
    from pathlib import Path

    from spikeplan.experiments.main_study.grid import RESULTS
    from spikeplan.experiments.main_study.run import run_main

    run_main("results", RESULTS, Path(out), Console())


def train(
    task: tyro.conf.Positional[str], seed: int = 0, seeds: int = 1, out: str = "runs", steps: int | None = None
) -> None:
    """Train one task's world model and everything derived from it; resumes an interrupted run. `--seeds 3` trains seeds
    `seed`, `seed + 1`, ... and prints the spread."""
    from spikeplan.experiments.cli.train import train_command

    train_command(task, seed=seed, seeds=seeds, out=out, steps=steps, console=Console())


def plan(
    task: str,
    method: str,
    out: str,
    episodes: int = 100,
    seed: int = 0,
    reference: str | None = None,
    threshold: float | None = None,
    samples: int | None = None,
    iterations: int | None = None,
    elites: int | None = None,
    horizon: int | None = None,
    chunk: int | None = None,
    checkpoint: str | None = None,
    artifact: str | None = None,
) -> None:
    """Run one method alone; summary.json has the same fields as the main job's. `--reference` and `--threshold` (a factor on the
    learned thresholds) default to what validation chose. `--method lava` closes the loop through Lava, episode by episode."""
    from spikeplan.experiments.cli.plan import plan_command

    budget = {"samples": samples, "iterations": iterations, "elites": elites, "horizon": horizon, "chunk": chunk}
    plan_command(
        task=task,
        method=method,
        out=out,
        episodes=episodes,
        seed=seed,
        reference=reference,
        threshold=threshold,
        budget={k: v for k, v in budget.items() if v is not None},
        checkpoint=checkpoint,
        artifact=artifact,
        console=Console(),
    )


def planners(out: str = "results/planners", episodes: int = 300, seeds: int = 3) -> None:
    """The spiking network under floating-point CEM, the same with the integer planner's spread, and CEM in integers: paired
    episodes of both tasks. Resumes."""
    from spikeplan.experiments.main_study.planners import planners_command

    planners_command(out, episodes=episodes, seeds=seeds, console=Console())


def fuse(
    out: str = "results/fuse",
    episodes: int = 100,
    seeds: int = 1,
    conditions: str | None = None,
    checkpoint: str | None = None,
    train: bool = False,
    lava: bool = True,
) -> None:
    """What an event camera adds: a robot follows a moving leader whose latent frames and events update. Paired episodes of
    every method and condition (`--conditions "nominal,speed x8"`: some). Resumes. `--train` makes the networks instead, into
    --out; `--checkpoint DIR` uses them."""
    from spikeplan.experiments.fusion_study.run import fuse_command
    from spikeplan.experiments.fusion_study.train import train_command
    from spikeplan.fusion.train import FuseTraining

    if train:
        train_command(out, FuseTraining(), console=Console())
        return
    fuse_command(
        out, episodes=episodes, seeds=seeds, conditions=conditions, checkpoint=checkpoint, lava=lava, console=Console()
    )


def convert(checkpoint: tyro.conf.Positional[str], out: str, threshold: float = 0.1, bits: int = 8) -> None:
    """Convert a checkpoint's predictor to a sigma-delta artifact (no fine-tuning). Thresholds in standard deviations of
    each layer. Prints the layer report."""
    from spikeplan.experiments.cli.convert import convert_command

    convert_command(checkpoint, out, threshold=threshold, bits=bits, console=Console())


def check(artifact: tyro.conf.Positional[str], target: str = "loihi2") -> None:
    """Check an artifact against a chip's limits; exit code 1 when it does not fit."""
    from spikeplan.experiments.cli.convert import check_command

    sys.exit(check_command(artifact, target, console=Console()))


def place(
    artifact: tyro.conf.Positional[str],
    chip: str = "loihi2",
    replicas: int = 1,
    spread: int = 1,
    for_latency: float | None = None,
    max_chips: int = 8,
    sweep: bool = False,
    json: str | None = None,
    svg: str | None = None,
    sweep_svg: str | None = None,
) -> None:
    """Where a sigma-delta artifact or a LIF network lies on a chip, how long a plan takes there and what it costs; exit code
    1 when a limit is broken. `--replicas N` shares the candidates out over N copies, `--spread N` cuts a layer into N times
    its least cores, `--for-latency MS` searches both for the fewest chips (at most `--max-chips`) that plan in time.
    `--sweep` prints the trade-off; `--svg FILE` draws the cores, `--sweep-svg FILE` the trade-off."""
    from spikeplan.experiments.cli.place import place_command

    sys.exit(
        place_command(
            artifact,
            chip=chip,
            replicas=replicas,
            spread=spread,
            for_latency=for_latency,
            max_chips=max_chips,
            sweep=sweep,
            json=json,
            svg=svg,
            sweep_svg=sweep_svg,
            console=Console(),
        )
    )


def bench(name: tyro.conf.Positional[str], json: str | None = None) -> None:
    """Side-by-side timings in one run, as rows {name, ours, other, ratio, unit, goal, holds}. NAME: plan, lava, events,
    energy."""
    from spikeplan.experiments.bench.plan import bench_command

    bench_command(name, json, console=Console())


def run(
    network: tyro.conf.Positional[str],
    steps: int = 100,
    inputs: str | None = None,
    residue: str = "owed",
    precision: str = "fixed_pt",
    dt: float | None = None,
    graded: bool = False,
    seed: int = 0,
    json: str | None = None,
    svg: str | None = None,
) -> None:
    """Run a network file in our Lava processes: netx (.net, .h5; sigma-delta) or NIR (.nir; LIF). Prints messages a step;
    `--json` and `--svg` add states. `--inputs FILE.npy` (steps, ...), else random; `--residue lost` is netx's own rule;
    `--precision floating_pt`, `--dt SECONDS` and `--graded` (inputs are values, not spikes) are for NIR."""
    from spikeplan.experiments.cli.lava_run import network_command

    network_command(
        network,
        steps=steps,
        inputs=inputs,
        residue=residue,
        precision=precision,
        dt=dt,
        graded=graded,
        seed=seed,
        json=json,
        svg=svg,
        console=Console(),
    )


COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": demo,
    "results": results,
    "train": train,
    "plan": plan,
    "planners": planners,
    "fuse": fuse,
    "convert": convert,
    "check": check,
    "place": place,
    "bench": bench,
}
GROUPS: dict[str, dict[str, Callable[..., Any]]] = {
    "events": {**EVENTS, **PROCESS},
    "lava": {"run": run},
    "energy": ENERGY,
}


def parse(words: list[str]) -> Callable[[], Any]:
    """The command to run. What the parser has against the words becomes one line; `--help` prints and exits."""
    found: list[Callable[[], Any]] = []

    def later(command: Callable[..., Any]) -> Callable[..., None]:
        @wraps(command)
        def note(*args: Any, **settings: Any) -> None:
            found.append(lambda: command(*args, **settings))

        return note

    prog, commands = "spikeplan", COMMANDS
    if words and words[0] in GROUPS:
        prog, commands, words = f"spikeplan {words[0]}", GROUPS[words[0]], words[1:]
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            tyro.extras.subcommand_cli_from_dict(
                {name: later(command) for name, command in commands.items()}, args=words, prog=prog, description=__doc__
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        text = "".join(" " if letter in "╭╮╰╯│─•┃" else letter for letter in said.getvalue())
        raise UserError(" ".join(text.split()) or f"cannot read the command; see {prog} --help") from None
    return found[0]


def ended_by(number: int, frame: FrameType | None) -> None:
    """Unwinds, so that children are ended and temporary files go."""
    print(
        f"spikeplan: ended by {signal.Signals(number).name}; what resumes (results, planners, train, fuse) goes on from here",
        file=sys.stderr,
    )
    sys.exit(128 + number)


def main(args: list[str] | None = None) -> None:
    """Entry point of the `spikeplan` command."""
    before = {number: signal.signal(number, ended_by) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        _main(args)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _main(args: list[str] | None) -> None:
    try:
        parse(sys.argv[1:] if args is None else args)()
    except LavaError as error:  # the log's tail stays readable: several lines
        print(f"spikeplan: {error}", file=sys.stderr)
        sys.exit(1)
    except (UserError, OSError) as error:
        print(f"spikeplan: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except MemoryError as error:
        print(f"spikeplan: out of memory ({' '.join(str(error).split())}); give a smaller job", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(
            "spikeplan: interrupted; what resumes (results, planners, train, fuse) goes on from here", file=sys.stderr
        )
        sys.exit(130)


if __name__ == "__main__":
    main()
