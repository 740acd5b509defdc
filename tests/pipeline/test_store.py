from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medseg.pipeline.prune import entries, remove
from medseg.pipeline.store import Source, Store, Task, explain, write_whole
from medseg.values.error import Refusal


def task(**settings: object) -> Task:
    return Task("split", "", "code", settings, {"index": Source(Path("anywhere"), "abc")})


def write(text: str):
    def work(draft: Path) -> None:
        (draft / "deep").mkdir(exist_ok=True)
        (draft / "deep" / "result.txt").write_text(text)

    return work


def test_work_is_done_once_and_found_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    calls = []
    made = [store.make(task(a=1), lambda draft: (calls.append(1), write("x")(draft))[1], {}) for _ in range(2)]
    assert len(calls) == 1
    assert made[0].folder == made[1].folder
    assert (made[0].folder / "deep" / "result.txt").read_text() == "x"
    assert store.find(task(a=1)) is not None
    assert store.find(task(a=2)) is None


def test_key_is_independent_of_where_inputs_lie_and_of_the_order_of_settings() -> None:
    one = Task("s", "", "c", {"a": 1, "b": 2}, {"x": Source(Path("here"), "d")})
    other = Task("s", "", "c", {"b": 2, "a": 1}, {"x": Source(Path("there"), "d")})
    assert one.key == other.key
    assert one.key != Task("s", "", "c", {"a": 1, "b": 2}, {"x": Source(Path("here"), "e")}).key
    assert one.key != Task("s", "", "C", {"a": 1, "b": 2}, {"x": Source(Path("here"), "d")}).key


def test_work_that_fails_leaves_a_draft_and_no_result(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def half(draft: Path) -> None:
        (draft / "half.txt").write_text("half")
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        store.make(task(), half, {})
    assert store.find(task()) is None
    assert [entry.draft for entry in entries(tmp_path)] == [True]
    seen = []
    store.make(task(), lambda draft: seen.append((draft / "half.txt").exists()), {})
    assert seen == [True], "the same task goes on in its own draft"


def test_source_of_a_part_changes_only_with_that_part(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def work(a: str, b: str):
        def do(draft: Path) -> None:
            (draft / "a.txt").write_text(a)
            (draft / "b.txt").write_text(b)

        return do

    first = store.make(task(n=1), work("a", "b"), {})
    second = store.make(task(n=2), work("a", "other"), {})
    assert first.source("a.txt").digest == second.source("a.txt").digest
    assert first.source("b.txt").digest != second.source("b.txt").digest
    assert first.source().digest != second.source().digest


def test_two_processes_share_the_work(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from medseg.pipeline.store import Store, Task\n"
        "def work(draft):\n"
        "    with (Path(sys.argv[1]) / 'log').open('a') as log: log.write('done\\n')\n"
        "Store(Path(sys.argv[1]) / 'store').make(Task('s', '', 'c', {}), work, {})\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(3)]
    assert [one.wait() for one in running] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == "done\n"


def test_two_threads_share_the_work(tmp_path: Path) -> None:
    done = []
    store = Store(tmp_path)
    threads = [threading.Thread(target=lambda: store.make(task(), lambda draft: done.append(1), {})) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [1]


def test_because_names_what_changed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.because(task(a={"b": 1})) == "first time"
    store.make(task(a={"b": 1}), write("x"), {})
    assert store.because(task(a={"b": 2})) == "a.b 1 -> 2"


def test_explain_names_inputs_and_code() -> None:
    before = {"settings": {}, "inputs": {"plan": "1"}, "code": "1"}
    assert explain(before, {"settings": {}, "inputs": {"plan": "2"}, "code": "1"}) == "input plan changed"
    assert explain(before, {"settings": {}, "inputs": {"plan": "1"}, "code": "2"}) == "code changed"


def test_manifest_records_files_seconds_memory_and_facts(tmp_path: Path) -> None:
    made = Store(tmp_path).make(task(), write("x"), {"versions": {"python": "3"}})
    manifest = json.loads((made.folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {"deep/result.txt"}
    assert manifest["seconds"] >= 0
    assert manifest["peak_memory_mb"] > 1
    assert manifest["versions"] == {"python": "3"}


def test_unwritable_store_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        Refusal, match=r"^machine.store: the store must be writable, got .*; set machine.store"
    ) as caught:
        Store(tmp_path / "file" / "store").make(task(), write("x"), {})
    assert caught.value.exit_code == 2


def test_the_draft_of_a_task_is_where_its_work_is_done(tmp_path: Path) -> None:
    store, seen = Store(tmp_path), []
    store.make(task(), lambda draft: seen.append(draft), {})
    assert seen == [store.draft_of(task())]


def test_several_writers_of_one_file_leave_a_whole_one(tmp_path: Path) -> None:
    """With the number of the process in the name of the draft, writers in one process would take each other's."""
    texts = [str(number) * 20_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: [write_whole(tmp_path / "text", text) for _ in range(5)], texts))
    assert (tmp_path / "text").read_text(encoding="utf-8") in texts
    assert list(tmp_path.iterdir()) == [tmp_path / "text"]


def test_pruning_removes_what_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.make(task(n=1), write("x" * 1000), {})
    store.make(task(n=2), write("y"), {})
    found = entries(tmp_path)
    assert {entry.stage for entry in found} == {"split"}
    remove(found[0])
    assert len(entries(tmp_path)) == 1


def test_pruning_knows_only_what_a_store_makes(tmp_path: Path) -> None:
    """A folder named by mistake as the store loses nothing."""
    (tmp_path / "documents" / "thesis").mkdir(parents=True)
    (tmp_path / "documents" / "manifest.json").write_text("{}")
    (tmp_path / "drafts" / "letter").mkdir(parents=True)
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / ("0" * 32)).symlink_to(tmp_path / "documents")
    assert entries(tmp_path) == []
    made = Store(tmp_path).make(task(), write("x"), {})
    (tmp_path / "drafts" / f"train-{'1' * 32}").mkdir()
    for place in ("memo/shared", "looks/listings"):
        (tmp_path / place).mkdir(parents=True)
    found = {entry.folder: (entry.stage, entry.draft) for entry in entries(tmp_path)}
    assert found == {
        made.folder: ("split", False),
        tmp_path / "drafts" / f"train-{'1' * 32}": ("train", True),
        tmp_path / "memo/shared": ("memo", False),
        tmp_path / "looks/listings": ("looks", False),
    }


def test_what_is_being_worked_on_is_not_pruned(tmp_path: Path) -> None:
    store, told = Store(tmp_path), []

    def work(draft: Path) -> None:
        told.extend(remove(entry) for entry in entries(tmp_path))
        assert draft.is_dir()

    store.make(task(), work, {})
    assert told == [False]
    assert [remove(entry) for entry in entries(tmp_path)] == [True]
    assert entries(tmp_path) == []


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"item": '])
def test_work_under_a_damaged_manifest_is_done_again(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    made = store.make(task(), write("x"), {})
    for path in (made.folder / "manifest.json", tmp_path / "last" / "split" / "all.json"):
        path.chmod(0o644)
        path.write_text(damage)
    assert [entry.item for entry in entries(tmp_path)] == [""]
    assert store.find(task()) is None
    assert store.because(task()) == "first time"
    store.make(task(), write("y"), {})
    assert (made.folder / "deep" / "result.txt").read_text() == "y"
    assert store.find(task()) is not None


def test_a_folder_of_a_result_is_not_its_neighbours_of_like_names(tmp_path: Path) -> None:
    def work(beside: str):
        def do(draft: Path) -> None:
            for name, text in (("model/card", "same"), ("models/card", beside), ("model.txt", beside)):
                (draft / name).parent.mkdir(exist_ok=True)
                (draft / name).write_text(text)

        return do

    first, second = (Store(tmp_path).make(task(n=n), work(text), {}) for n, text in ((1, "one"), (2, "two")))
    assert first.source("model").digest == second.source("model").digest
    assert first.source("models").digest != second.source("models").digest


def test_a_text_that_cannot_be_written_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "taken", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_results_cannot_be_written_over_by_accident(tmp_path: Path) -> None:
    """Runs are hard links to these files."""
    made = Store(tmp_path).make(task(), write("x"), {})
    modes = [path.stat().st_mode & 0o777 for path in made.folder.rglob("*") if path.is_file()]
    assert modes == [0o444, 0o444]
