"""Import Lava on Python >= 3.11.

Lava 0.10.0 declares Python 3.10 only because of one class: `lava.magma.compiler.var_model.ByteEncoder` is a dataclass
that another dataclass uses as a default, and since Python 3.11 a default must be hashable. While that module is
imported, `dataclasses.dataclass` gives ByteEncoder an identity hash; afterwards the original is back. Processes that
Lava forks inherit the imported module and need nothing.

Importing Lava also fixes multiprocessing's start method to fork, so only a worker (lava_procs/worker.py) imports it.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from typing import Any

from spikeplan.core.errors import UserError

OFFENDER = "lava.magma.compiler.var_model"
REMEDY = "pip install --no-deps --ignore-requires-python -r requirements-nodeps.txt"


def import_lava() -> None:
    """Make `import lava...` work from here on; a UserError with the remedy if lava-nc is missing."""
    if OFFENDER in sys.modules:
        return
    original = dataclasses.dataclass

    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        if cls is not None and cls.__name__ == "ByteEncoder":
            cls.__hash__ = object.__hash__
        return original(cls, **options)

    dataclasses.dataclass = dataclass
    try:
        importlib.import_module(OFFENDER)
    except ModuleNotFoundError as error:
        raise UserError(f"Lava cannot be imported (no module {error.name!r}); run `{REMEDY}`") from error
    finally:
        dataclasses.dataclass = original
