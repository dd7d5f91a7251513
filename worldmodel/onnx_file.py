"""Dense networks as ONNX files, for runtimes other than torch.

Rows are a free dimension. What is written is run once by onnxruntime and compared with the module before the file appears.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole

MAX_ERROR = 1e-4  # of the largest output; float32 in another order of sums stays far below


def need_onnx() -> tuple[Any, Any]:
    try:
        import onnxruntime
        import onnxscript
    except ModuleNotFoundError as error:
        raise UserError(f"ONNX files need {error.name}; install them with `pip install spikeplan[onnx]`") from error
    return onnxruntime, onnxscript


@torch.no_grad()
def write_onnx(module: nn.Module, inputs: Mapping[str, Tensor], path: str | os.PathLike[str], *, output: str) -> Path:
    """Write a module; returns the path.

    Args:
        inputs: name -> example (N, ...), in the order in which forward takes them; at least two rows, which become a free
            dimension.
        output: name of what forward returns.

    Raises UserError where onnx is missing, for examples of one row, for a module that ONNX cannot express or whose outputs
    differ in onnxruntime, and for a path that cannot be written.

    >>> write_onnx(model.predictor, {"latent": latent_ND, "action": action_NA}, "predictor.onnx", output="next_latent")
    """
    runtime, _ = need_onnx()
    if any(len(one) < 2 for one in inputs.values()):
        raise UserError("onnx: an example of one row fixes the number of rows; give two or more")
    target, module = Path(path), module.eval()
    written = _program(module, inputs, output).model_proto.SerializeToString()
    found = runtime.InferenceSession(written, providers=["CPUExecutionProvider"]).run(
        [output], {name: one.numpy() for name, one in inputs.items()}
    )[0]
    wanted = module(*inputs.values())
    error_of = float((torch.from_numpy(found) - wanted).abs().max() / wanted.abs().max().clamp_min(1e-12))
    if not error_of <= MAX_ERROR:
        raise UserError(
            f"onnx: {type(module).__name__} runs otherwise in onnxruntime, by {error_of:.2g} of its largest output; nothing was "
            "written"
        )
    try:
        write_whole(target, lambda temporary: temporary.write_bytes(written))
    except OSError as error:
        raise UserError(f"{target}: cannot write there ({error}); choose a writable directory") from error
    return target


def _program(module: nn.Module, inputs: Mapping[str, Tensor], output: str) -> Any:
    """The exported program; what torch's exporter says of itself meanwhile is not for the user."""
    rows, log = torch.export.Dim("rows"), logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.onnx.export(
                module,
                tuple(inputs.values()),
                dynamo=True,
                verbose=False,
                input_names=list(inputs),
                output_names=[output],
                dynamic_shapes=tuple({0: rows} for _ in inputs),
            )
    except Exception as error:  # the exporter raises whatever an operation does
        said = " ".join(str(error).split())[:160]
        raise UserError(f"onnx: {type(module).__name__} cannot be exported ({said})") from error
    finally:
        log.setLevel(level)
