"""Files of predictors trained apart from their world model: one safetensors file, its header says which kind and from what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.tensor_file import FileKind
from spikeplan.worldmodel.predictors import PREDICTORS

FILE = FileKind(
    key="predictor",
    name="predictor file",
    form="predictor of `spikeplan train --predictors`",
    make="make one with `spikeplan train --task TASK --predictors KIND`",
    again="train it again",
)


def save_predictor(net: Any, kind: str, path: str | os.PathLike[str], **provenance: object) -> Path:
    """Write a predictor of a kind in PREDICTORS, whole or not at all. Raises UserError where the folder cannot be written."""
    target = Path(path)
    sizes = {"latent_dim": net.latent_dim, "action_dim": net.action_dim, "hidden": list(net.hidden)}
    meta = {"kind": kind, "sizes": sizes, "versions": {"torch": torch.__version__}, **provenance}
    tensors = {name: value.detach().contiguous() for name, value in net.state_dict().items()}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, lambda part: save_file(tensors, part, metadata=FILE.metadata(meta)))
    except OSError as error:
        raise UserError(f"{target}: cannot write the predictor ({error}); choose a writable directory") from error
    return target


def load_predictor(path: str | os.PathLike[str]) -> nn.Module:
    """The predictor, in evaluation mode. Raises UserError for another file, a damaged one, and weights that are not finite.

    >>> net = load_predictor("worldmodel/checkpoints/two-room/keep-out/two-room.transformer.safetensors")
    >>> after_ND = net(latent_ND, action_NA)
    """
    meta, tensors = FILE.read(path)
    try:
        sizes = meta["sizes"]
        made: Any = PREDICTORS[meta["kind"]]
        net: nn.Module = made.make(sizes["latent_dim"], sizes["action_dim"], tuple(sizes["hidden"]))
        net.load_state_dict(tensors)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"{path}: damaged predictor file ({' '.join(str(error).split())[:160]}); {FILE.again}"
        ) from error
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise UserError(f"{path}: weights are not finite; {FILE.again}")
    return net.eval()
