"""A native reader may crash, hang or be greedy: one scan is refused, and the next one is read."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from medseg.files.foreign.native import Request, child_pid, read_planes
from medseg.values.error import Refusal
from tests.files.foreign.text_headers import SIZES, STORED, meta, nrrd

ODD = Path(__file__).parents[4] / "shared" / "data" / "odd"


def request(path: Path, seconds: float = 5.0) -> Request:
    return Request(path, "NrrdImageIO", SIZES, 1, STORED.nbytes, seconds=seconds)


def voxels(wanted: Request) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.stack(list(read_planes(wanted))).T


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_planes_come_from_one_child_that_stays(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd")
    child = child_pid()
    for _ in range(3):
        np.testing.assert_array_equal(voxels(request(path)), STORED)
    assert child_pid() == child != os.getpid()


def test_a_crash_refuses_one_scan(tmp_path: Path) -> None:
    large = np.zeros((64, 64, 256), np.int16)
    planes = read_planes(Request(nrrd(tmp_path / "large.nrrd", large), "NrrdImageIO", (64, 64, 256), 1, large.nbytes))
    next(planes)
    child = child_pid()  # it waits until somebody takes the other planes, of which a pipe holds only some
    os.kill(child, signal.SIGSEGV)
    with pytest.raises(Refusal, match=r"large.nrrd: the native reader survives the file, got SIGSEGV") as refused:
        list(planes)
    assert refused.value.exit_code == 1
    assert not is_alive(child), "it was collected: no zombie"
    np.testing.assert_array_equal(voxels(request(nrrd(tmp_path / "a.nrrd"))), STORED)
    assert child_pid() != child


def test_a_crash_while_nothing_is_asked_costs_nothing(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd")
    child = child_pid()
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    np.testing.assert_array_equal(voxels(request(path)), STORED)


def test_silence_refuses_one_scan(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd")
    child = child_pid()
    os.kill(child, signal.SIGSTOP)
    with pytest.raises(Refusal, match=r"the native reader answers within 0.3 seconds, got silence"):
        voxels(request(path, seconds=0.3))
    assert not is_alive(child)
    np.testing.assert_array_equal(voxels(request(path)), STORED)


def test_a_request_longer_than_the_pipe_meets_silence_too(tmp_path: Path) -> None:
    child = child_pid()
    os.kill(child, signal.SIGSTOP)
    patches = [(0, "NRRD0005")] * 20_000
    with pytest.raises(Refusal, match="got silence"):
        voxels(Request(nrrd(tmp_path / "a.nrrd"), "NrrdImageIO", SIZES, 1, STORED.nbytes, patches=patches, seconds=0.3))
    assert not is_alive(child)


def test_greed_refuses_one_scan(tmp_path: Path) -> None:
    huge = nrrd(tmp_path / "a.nrrd", sizes="2000 2000 2000")
    with pytest.raises(Refusal, match=r"SimpleITK can read the file, got .*(memory|allocate|bytes)"):
        voxels(request(huge))


def test_what_the_reader_complains_about_is_told_and_the_child_lives(tmp_path: Path) -> None:
    child = child_pid()
    directions = "(2,0,0) (0,2,0) (0,0,3) none"
    path = nrrd(tmp_path / "a.nrrd", dimension="4", sizes="6 5 2 2", space_directions=directions)
    with pytest.raises(Refusal, match=r"SimpleITK can read the file, got ITK ERROR: NrrdImageIO: .*") as refused:
        voxels(request(path))
    assert "(0x" not in refused.value.value
    assert "\n" not in str(refused.value)
    assert child_pid() == child


def test_an_answer_that_is_not_what_the_header_claims_is_refused(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd")
    other = Request(path, "NrrdImageIO", (6, 5, 3), 1, STORED.nbytes)
    with pytest.raises(Refusal, match=r"SimpleITK finds what the header claims, got \(6, 5, 4\) x 1 of int16"):
        voxels(other)
    with pytest.raises(Refusal, match="SimpleITK finds what the header claims"):
        voxels(Request(path, "NrrdImageIO", SIZES, 1, STORED.nbytes, dtype=np.dtype("<u2")))
    with pytest.raises(Refusal, match="SimpleITK hands out the bytes that are stored, got a sum of "):
        voxels(Request(path, "NrrdImageIO", SIZES, 1, STORED.nbytes, tally=1))
    np.testing.assert_array_equal(voxels(request(path)), STORED)


def test_zeros_that_the_reader_makes_up_are_noticed(tmp_path: Path) -> None:
    """SimpleITK fills a cut file with zeros and says nothing: here it is asked without our own checks."""
    path = meta(tmp_path / "a.mha", CompressedData="True")
    tally = int(np.frombuffer(STORED.tobytes(), np.uint8).sum())
    with pytest.raises(Refusal, match=r"SimpleITK (hands out the bytes that are stored|can read the file)"):
        voxels(Request(path, "MetaImageIO", SIZES, 1, STORED.nbytes, tally=tally))


def test_a_plane_that_nobody_takes_ends_the_child(tmp_path: Path) -> None:
    planes = read_planes(request(nrrd(tmp_path / "a.nrrd")))
    child = child_pid()
    next(planes)
    planes.close()  # type: ignore[attr-defined]
    assert not is_alive(child), "what is left in its pipe must never be taken for another answer"


def test_each_thread_has_its_own_child_which_ends_with_it(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd")
    pids: list[int] = []

    def work() -> None:
        voxels(request(path))
        pids.append(child_pid())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({*pids, child_pid()}) == 3
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to watch a process of somebody else")
@pytest.mark.parametrize("ending", ["", "import os; os.kill(os.getpid(), 9)"])
def test_the_child_ends_with_its_parent(ending: str) -> None:
    code = f"from medseg.files.foreign.native import child_pid; print(child_pid(), flush=True); {ending}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    try:
        ending_of_child = os.pidfd_open(int(done.stdout))
    except ProcessLookupError:
        pass  # it is gone already
    else:
        assert select.select([ending_of_child], [], [], 10)[0], "readable when it has ended"
        os.close(ending_of_child)
    assert not done.stderr


def test_modules_of_the_folder_one_stands_in_are_not_run(tmp_path: Path) -> None:
    (tmp_path / "SimpleITK.py").write_text("raise SystemExit('from here')")
    (tmp_path / "json.py").write_text("raise SystemExit('from here')")
    code = (
        "import sys; sys.path.remove('') if '' in sys.path else None; "
        "from medseg.files.foreign.native import child_pid; print(child_pid())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_forked_copy_gets_a_child_of_its_own(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd")
    code = f"""
import os, sys
from pathlib import Path
from medseg.files.foreign.scan import scan_image
from medseg.files.foreign.native import child_pid
from medseg.files.reading import AS_IT_IS
mine = child_pid()
pid = os.fork()
sums = [float(scan_image(Path({str(path)!r}), 0, AS_IT_IS).volume.voxels.sum()) for _ in range(20)]
other = child_pid()
if pid == 0:
    os._exit(0 if other != mine and sums == [{float(STORED.sum())}] * 20 else 1)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(code if other == mine and sums == [{float(STORED.sum())}] * 20 else 2)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not ODD.is_dir(), reason="the odd files are not here")
def test_a_file_that_simpleitk_misreads_is_contained() -> None:
    path = ODD / "nifti_reader_js" / "5D_small.nii"
    with pytest.raises(Refusal, match=r"SimpleITK finds what|the native reader survives|SimpleITK can read"):
        list(read_planes(Request(path, "NiftiImageIO", (2, 2, 2), 1, 100)))


def test_the_parent_imports_no_native_reader() -> None:
    code = (
        "import sys, medseg.files.foreign.scan, medseg.files.writing, medseg.files.foreign.dicom.writing;"
        "sys.exit(any(name in sys.modules for name in ('SimpleITK', 'pydicom', 'highdicom', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
