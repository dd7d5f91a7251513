"""World-model checkpoints: one safetensors file whose header carries config, seed, metrics and versions."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.planning import CEMConfig
from spikeplan.core.tensor_file import FileKind
from spikeplan.worldmodel.encoder import Encoder, EncoderConfig
from spikeplan.worldmodel.predictors import PREDICTORS
from spikeplan.worldmodel.tasks import make_world, task_of

FORMAT = "spikeplan-worldmodel"
FILE = FileKind(
    key="worldmodel",
    name="checkpoint",
    form=FORMAT,
    make="make one with `spikeplan train --task TASK`",
    again="train it again or restore it from git",
)
VERSION = 1
SHIPPED = Path(__file__).parent / "checkpoints"


@dataclass
class WorldModel:
    """Encoder and predictor of one task, with the planner settings they were validated with.

    >>> model = load_model(shipped("two-room"))
    >>> latent_BD = model.encoder(image_BCHW)
    """

    task: str
    encoder: Encoder
    predictor: Any  # the module of a PredictorKind
    planner: CEMConfig
    seed: int
    metrics: dict[str, Any]
    config: dict[str, Any]
    kind: str = "residual"  # of the predictor, a name in PREDICTORS


def save_model(model: WorldModel, path: str | os.PathLike[str]) -> Path:
    """Write a world model into one safetensors file, whole or not at all, and return its path.

    Raises UserError where the folder cannot be made or written.

    >>> save_model(model, "runs/mine.safetensors")
    """
    target = Path(path)
    tensors = {f"encoder.{k}": v.contiguous() for k, v in model.encoder.state_dict().items()}
    tensors |= {f"predictor.{k}": v.contiguous() for k, v in model.predictor.state_dict().items()}
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "task": model.task,
        "seed": model.seed,
        "metrics": model.metrics,
        "config": model.config,
        "encoder": asdict(model.encoder.config),
        "predictor": {
            "kind": model.kind,
            "latent_dim": model.predictor.latent_dim,
            "action_dim": model.predictor.action_dim,
            "hidden": list(model.predictor.hidden),
        },
        "planner": asdict(model.planner),
        "versions": {"torch": torch.__version__},
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, lambda path: save_file(tensors, path, metadata=FILE.metadata(meta)))
    except OSError as error:
        raise UserError(f"{target}: cannot write the checkpoint ({error}); choose a writable directory") from error
    return target


def load_model(path: str | os.PathLike[str]) -> WorldModel:
    """Read a world model that `save_model` or `spikeplan train` wrote.

    Raises UserError, in one line with a remedy, for a file that is missing, truncated, foreign, of another version, or whose
    numbers are not finite.

    >>> model = load_model("runs/mine.safetensors")
    >>> model.planner.samples
    """
    source, (meta, tensors) = Path(path), FILE.read(path)
    try:
        if meta["format"] != FORMAT or meta["version"] != VERSION:
            raise UserError(
                f"{source}: {meta['format']!r} version {meta['version']}, "
                f"this build reads {FORMAT!r} version {VERSION}; train it again"
            )
        shape = meta["encoder"]
        encoder = Encoder(EncoderConfig(**{**shape, "image_shape": tuple(shape["image_shape"])}))
        sizes = meta["predictor"]
        kind = sizes.get("kind", "residual")
        predictor = PREDICTORS[kind].make(sizes["latent_dim"], sizes["action_dim"], tuple(sizes["hidden"]))
        for prefix, module in (("encoder.", encoder), ("predictor.", predictor)):
            module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        planner = CEMConfig(**meta["planner"])
        finite = all(torch.isfinite(v).all() for v in tensors.values() if v.is_floating_point())
        task, seed, metrics, config = meta["task"], meta["seed"], meta["metrics"], meta["config"]
        world = make_world(task) if isinstance(task, str) else None
        if world is None or (world.image_shape, world.action_dim) != (encoder.config.image_shape, predictor.action_dim):
            raise ValueError(f"task {task!r} does not fit images {shape['image_shape']}")
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ValueError(f"seed {seed!r} is no integer")
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError, RecursionError) as error:
        detail = " ".join(str(error).split())[:160] or repr(error)
        raise UserError(f"{source}: damaged {FORMAT} header or weights ({detail}); train it again") from error
    if not finite:
        raise UserError(f"{source}: weights are not finite; train it again")
    encoder.eval()
    predictor.eval()
    return WorldModel(task, encoder, predictor, planner, seed, metrics, config, kind)


def shipped(task: str) -> Path:
    """The checkpoint that the package ships for a task (levels of one world share it). UserError where none ships."""
    name = task_of(task).checkpoint
    if name is not None:
        return SHIPPED / name / f"{name}.safetensors"
    raise UserError(f"task {task!r} has no shipped checkpoint; train one with `spikeplan train --task {task}`")
