"""The trained files of the fusion: one safetensors for the dense parts, one artifact for the spiking event encoder.

planar-reach.fused.safetensors    fused latent with its dense event encoder, the twin without events, decoder, denoiser (fp16)
planar-reach.events.safetensors   the event encoder as a sigma-delta artifact
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from spikeplan.core.errors import UserError
from spikeplan.core.files import file_digest, write_whole
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.tensor_file import FileKind
from spikeplan.fusion.denoise import Denoiser
from spikeplan.fusion.maps import Decoder
from spikeplan.fusion.train import Fuser
from spikeplan.worldmodel.checkpoint import WorldModel, load_model, shipped
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.tasks.world import World

TASK = "planar-reach"
FORMAT = "spikeplan-fusion"
VERSION = 1
FILE = FileKind(
    key="fusion",
    name="file",
    form=FORMAT,
    make="make it with `spikeplan fusion --train --out DIR`",
    again="train it again",
)
CELLS = 24 * 24


@dataclass(frozen=True)
class FuseBundle:
    world: World
    model: WorldModel
    fused: Fuser
    twin: Fuser
    decoder: Decoder
    denoiser: Denoiser
    artifact: Artifact
    meta: dict[str, Any]
    digests: dict[str, str]


def fused_path(folder: Path) -> Path:
    return folder / f"{TASK}.fused.safetensors"


def events_path(folder: Path) -> Path:
    return folder / f"{TASK}.events.safetensors"


def save_fusion(
    folder: Path, fused: Fuser, twin: Fuser, decoder: Decoder, denoiser: Denoiser, meta: dict[str, Any]
) -> Path:
    """Weights in half precision: what is shipped is what is measured."""
    parts: dict[str, torch.nn.Module] = {"fused": fused, "twin": twin, "decoder": decoder, "denoiser": denoiser}
    tensors = {
        f"{part}.{name}": value.detach().half().contiguous()
        for part, module in parts.items()
        for name, value in module.state_dict().items()
        if not (part == "twin" and name.startswith("cell.body"))  # the body's map is shared
    }
    header = {"format": FORMAT, "version": VERSION, **meta}
    target = fused_path(folder)
    write_whole(target, lambda path: save_file(tensors, path, metadata=FILE.metadata(header)))
    return target


def load_fusion(folder: Path | None = None) -> FuseBundle:
    """From `folder` (made by `spikeplan fusion --train`), or the shipped files."""
    place = folder or shipped(TASK).parent
    source, converted = fused_path(place), events_path(place)
    for path in (source, converted):
        if not path.is_file():
            raise UserError(f"{path}: no such file; make it with `spikeplan fusion --train --out {place}`")
    meta, tensors = FILE.read(source)
    tensors = {name: value.float() for name, value in tensors.items()}
    model = load_model(shipped(TASK))
    d = model.encoder.config.latent_dim
    fused, twin = Fuser(d, CELLS, with_events=True), Fuser(d, CELLS, with_events=False)
    decoder, denoiser = Decoder(d), Denoiser()
    try:
        if (meta["format"], meta["version"]) != (FORMAT, VERSION):
            raise ValueError(f"{meta['format']!r} version {meta['version']}")
        tensors |= {n.replace("fused.", "twin."): v for n, v in tensors.items() if n.startswith("fused.cell.body")}
        for part, module in (("fused.", fused), ("twin.", twin), ("decoder.", decoder), ("denoiser.", denoiser)):
            module.load_state_dict({n.removeprefix(part): v for n, v in tensors.items() if n.startswith(part)})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        detail = " ".join(str(error).split())[:160]
        raise UserError(f"{source}: no {FORMAT} version {VERSION} or damaged ({detail}); train it again") from error
    artifact = artifact_file.load(converted)
    if (artifact.layers[0].n_in, artifact.layers[-1].n_out) != (d + CELLS, d):
        raise UserError(f"{converted}: no event encoder of {CELLS} cells and {d} latents; train it again")
    digests = {path.name: file_digest(path) for path in (source, converted, shipped(TASK))}
    return FuseBundle(
        make_world(TASK), model, fused.eval(), twin.eval(), decoder.eval(), denoiser.eval(), artifact, meta, digests
    )
