"""Files of networks that are derived from a world model: LIF networks and narrow or pruned predictors, as safetensors."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.tensor_file import FileKind
from spikeplan.snn.lif import LIFConfig, LIFNetwork
from spikeplan.worldmodel.predictor import ResidualPredictor

LIF, POLICY_LIF, TO_GO_LIF = "lif", "policy-lif", "cost-to-go-lif"  # kinds of files that hold a LIF network

FILE = FileKind(
    key="spikeplan",
    name="file",
    form="network of `spikeplan train`",
    make="make it with `spikeplan train --task TASK`",
    again="train it again",
)


def _save(tensors: dict[str, torch.Tensor], meta: dict[str, object], path: Path) -> None:
    whole = {k: v.detach().contiguous() for k, v in tensors.items()}
    write_whole(path, lambda part: save_file(whole, part, metadata=FILE.metadata(meta)))


def _load(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    meta, tensors = FILE.read(path)
    if not isinstance(meta, dict) or meta.get("kind") != kind:
        raise UserError(f"{path}: a safetensors file but no {kind}; {FILE.make}")
    return tensors, meta


def header(path: Path) -> dict[str, Any]:
    """The header of a file made here; {} when there is none."""
    return FILE.header(path)


def save_lif(net: LIFNetwork, path: Path, *, kind: str = LIF, **provenance: object) -> None:
    tensors = {k: v for k, v in net.state_dict().items() if k.startswith("w")}
    sizes = [net.w1.in_features, net.w1.out_features, net.w2.out_features, net.w3.out_features]
    _save(tensors, {"kind": kind, "sizes": sizes, "config": asdict(net.config), **provenance}, path)


def load_lif(path: Path, *, kind: str = LIF) -> LIFNetwork:
    """`kind`: LIF for a predictor, POLICY_LIF for a policy. Raises UserError for another kind, a damaged file, and weights that
    are not finite."""
    tensors, meta = _load(path, kind)
    try:
        n_in, first, second, n_out = meta["sizes"]
        net = LIFNetwork(n_in, (first, second), n_out, LIFConfig(**meta["config"]))
        for name in ("w1", "w2", "w3"):
            getattr(net, name).load_state_dict({k: tensors[f"{name}.{k}"] for k in ("weight", "bias")})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: damaged LIF file ({error!r}); train it again") from error
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise UserError(f"{path}: weights are not finite; train it again")
    return net.eval()


def save_narrow(net: ResidualPredictor, path: Path, **provenance: object) -> None:
    sizes = {"latent_dim": net.latent_dim, "action_dim": net.action_dim, "hidden": list(net.hidden)}
    _save(dict(net.state_dict()), {"kind": "narrow", "sizes": sizes, **provenance}, path)


def load_narrow(path: Path) -> ResidualPredictor:
    tensors, meta = _load(path, "narrow")
    try:
        sizes = meta["sizes"]
        net = ResidualPredictor(sizes["latent_dim"], sizes["action_dim"], tuple(sizes["hidden"]))
        net.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: damaged predictor file ({error!r}); train it again") from error
    return net.eval()
