"""The child process that native readers run in: a request line comes in, a framed answer and raw voxels go out.

A request is one JSON line {"path", "io", "volume", "memory", "patches"}. An answer is four bytes (the length, little
endian) and JSON: {"error": text}, or {"grid", "volumes", "dtype", "tally"} (the sum of all bytes of the image)
followed by the planes of the volume, little endian, each (Y, X), z ascending. One answer {"ready": true} comes first.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


def main() -> None:
    """Answer requests from standard input until it closes; whatever else is printed goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what ends
    _end_with_parent()
    answers = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    os.dup2(2, 1)
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    _send(answers, {"ready": True})
    for line in sys.stdin.buffer:
        _answer(answers, json.loads(line))


def _answer(answers: BinaryIO, request: Mapping[str, Any]) -> None:
    import numpy as np

    try:
        with _memory(int(request["memory"])):
            image, planes, facts = _read(request)
    except Exception as error:  # whatever a native reader raises is the file's fault, and the parent's to word
        _send(answers, {"error": _shortest(error)})
        return
    _send(answers, facts)
    for plane in planes:
        stored = np.ascontiguousarray(plane, plane.dtype.newbyteorder("<"))
        answers.write(stored.data.cast("B"))
    answers.flush()
    del image  # the planes are a view of its memory


def _read(request: Mapping[str, Any]) -> tuple[object, NDArray[np.generic], dict[str, Any]]:
    """Return an image, a view of the planes (Z, Y, X) of one of its volumes, and what the answer says of them."""
    import numpy as np
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(request["io"])
    with _patched(request["path"], request["patches"]) as path:
        reader.SetFileName(path)
        image = reader.Execute()
    volume = int(request["volume"])
    voxels = SimpleITK.GetArrayViewFromImage(image)
    tally = int(voxels.view(np.uint8).sum(dtype=np.uint64))
    components = image.GetNumberOfComponentsPerPixel()
    size = list(image.GetSize())
    volumes = components if len(size) == 3 else size[3] if len(size) == 4 and components == 1 else 0
    if not 0 <= volume < volumes:
        raise ValueError(f"read as {len(size)} dimensions of {components} components")
    if len(size) == 4:
        voxels = voxels[volume]
    elif components > 1:
        voxels = voxels[..., volume]
    dtype = voxels.dtype.newbyteorder("<").str
    return image, voxels, {"grid": size[:3], "volumes": volumes, "dtype": dtype, "tally": tally}


@contextmanager
def _patched(path: str, patches: list[tuple[int, str]]) -> Iterator[str]:
    """Yield a path to the file with some of its bytes replaced: a nameless copy, so that nothing can be left behind."""
    if not patches:
        yield path
        return
    with tempfile.TemporaryFile() as copy:
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                copy.write(piece)
        for offset, text in patches:
            copy.seek(offset)
            copy.write(text.encode("ascii"))
        copy.flush()
        copy.seek(0)
        yield f"/dev/fd/{copy.fileno()}"


@contextmanager
def _memory(allowance: int) -> Iterator[None]:
    """Let this process map `allowance` bytes more than it does now; where the system cannot tell, do nothing."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            mapped = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (mapped + allowance, before[1]))
    except (ImportError, OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _end_with_parent() -> None:
    """On Linux, have the system end this process when the thread that started it is gone, even inside a native call."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _shortest(error: Exception) -> str:
    """Return the last line of a message (ITK puts the reason there), without addresses, at most 300 characters."""
    if isinstance(error, MemoryError):
        return "more memory than the header claims"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"\(0x[0-9a-f]+\)", "", lines[-1] if lines else type(error).__name__)[-300:]


def _send(answers: BinaryIO, facts: Mapping[str, Any]) -> None:
    block = json.dumps(facts).encode()
    answers.write(len(block).to_bytes(4, "little") + block)
    answers.flush()


if __name__ == "__main__":
    main()
