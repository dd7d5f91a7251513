"""Files written whole or not at all: under a temporary name beside the target, then renamed. And what reading a damaged
NumPy file can raise."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

# Found by damaging files: headers, archives, compressed members, sizes that no memory holds.
NUMPY_ERRORS = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, SyntaxError, TokenError, MemoryError,
                RuntimeError, NotImplementedError, BadZipFile, zlib.error)  # fmt: skip


def write_whole(target: Path, write: Callable[[Path], object]) -> None:
    """`write(temporary)` fills the file; what goes wrong there leaves `target` as it was and nothing beside it."""
    if target.exists() and not target.is_file():
        raise OSError(f"{target} is there and is no regular file")
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=f".part{target.suffix}")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner may read
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's mask; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
