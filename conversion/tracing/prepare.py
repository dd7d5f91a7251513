"""Before a module is traced: one that can be traced without touching the caller's, and calibration data that fit it.

The copy shares its parameters with the original where these are float32 on the CPU already; its buffers are its own, so that
running it changes nothing. Shapes: N rows, D latent, A action.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from spikeplan.core.errors import UserError, short

LAZY = (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)
ROWS = 3  # of a trial run; 1 row would be a shape of its own


def prepared(module: Any) -> nn.Module:
    """A float32 copy in evaluation mode. Raises UserError for what is no module, and for a parameter that is not finite."""
    if not isinstance(module, nn.Module):
        raise UserError(
            f"predictor: {type(module).__name__} is no torch module; give one called as module(latent, action)"
        )
    inner = getattr(module, "_orig_mod", module)  # torch.compile wraps
    inner = inner.module if isinstance(inner, nn.DataParallel | nn.parallel.DistributedDataParallel) else inner
    if isinstance(inner, torch.jit.ScriptModule):
        raise UserError("predictor: is TorchScript, which cannot be traced; give the Python module that it was made of")
    for name, tensor in [*inner.named_parameters(), *inner.named_buffers()]:
        if tensor.device.type == "meta" or isinstance(tensor, LAZY):
            raise UserError(f"parameter '{name}': has no values yet; load the weights first, or run a lazy module once")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(f"parameter '{name}': holds values that are not finite; train or load the network again")
        if tensor.is_complex():
            raise UserError(f"parameter '{name}': is complex; only real networks have a spiking form")
    floats = [p for p in inner.parameters() if p.is_floating_point()]
    shares = all(p.dtype == torch.float32 and p.device.type == "cpu" for p in floats)
    kept = {id(p): p for p in inner.parameters()} if shares else {}
    for part in inner.modules():  # a weight that a hook makes at each call (weight norm of old) cannot be copied itself
        derived = [value for value in vars(part).values() if isinstance(value, Tensor) and value.grad_fn is not None]
        kept |= {id(value): value.detach() for value in derived}
    try:
        made: nn.Module = copy.deepcopy(inner, kept)
    except (TypeError, RuntimeError) as error:
        raise UserError(
            f"predictor: {type(inner).__name__} cannot be copied ({short(error)}); convert it before use"
        ) from error
    return (made if shares else made.float().cpu()).eval()


@torch.no_grad()
def trial(module: nn.Module, latent_ND: Tensor, action_NA: Tensor) -> None:
    """Runs `forward` on a few calibration rows. Raises UserError in one line for anything that it does not answer with (N, D)."""
    z, a = latent_ND[:ROWS], action_NA[:ROWS]
    given = f"latents (N, {z.shape[1]}) and actions (N, {a.shape[1]})"
    name = type(module).__name__
    try:
        out, again = module(z, a), module(z, a)
    except Exception as error:
        raise UserError(
            f"predictor: {name}.forward fails on the calibration's {given} ({short(error)}); "
            "give latents and actions as module(latent, action) takes them"
        ) from error
    if not isinstance(out, Tensor):
        raise UserError(
            f"predictor: {name}.forward returns {type(out).__name__}, not a tensor; return the next latent alone"
        )
    if out.shape != z.shape:
        raise UserError(
            f"predictor: {name}.forward answers {given} with {tuple(out.shape)[1:]} numbers a row, "
            f"expected ({z.shape[1]},); the output is the next latent"
        )
    if not bool(torch.isfinite(out).all()):
        raise UserError(
            f"predictor: {name}.forward gives values that are not finite on the calibration inputs; check them"
        )
    if not out.equal(again):
        raise UserError(
            f"predictor: {name}.forward answers the same inputs with two outputs; switch off noise, dropout or inner state"
        )
