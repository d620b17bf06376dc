"""Laws: an equal origin gives the same store, a changed one never does, a broken store is never read."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from homeostat.data import fingerprint, ragged
from homeostat.data.fingerprint import Origin
from homeostat.data.ragged import Ragged
from homeostat.data.store import Store, Writer, build, explain, verify
from homeostat.errors import DataError
from patience import PATIENCE_S, wait_for


def write(writer: Writer) -> None:
    writer.array("age", np.array([50.0, 61.0, 72.0], dtype=np.float32))
    writer.array("id", np.array(["a", "b", "c"]))
    writer.ragged("pulse", Ragged.of([np.arange(3.0), np.empty(0), np.arange(2.0)]))
    writer.meta["unit"] = "years"
    writer.count("rows with an empty parameter name, dropped", 2403)


@pytest.fixture
def raw(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.txt").write_text(f"patient {number}\n")
    return sorted(folder.iterdir())


def prepare(root: Path, raw: list[Path], *, writing=write, **parameters: object) -> Store:
    return build(root, name="demo", raw=raw, code=[write, ragged], parameters=parameters, write=writing)


def forbidden(writer: Writer) -> None:
    raise AssertionError("prepared again although nothing changed")


def test_what_is_written_is_what_is_read(tmp_path, raw):
    store = prepare(tmp_path / "stores", raw)
    assert store["age"].tolist() == [50, 61, 72]
    assert store["id"].tolist() == ["a", "b", "c"]
    assert [row.tolist() for row in store.ragged("pulse")] == [[0, 1, 2], [], [0, 1]]
    assert store.meta == {"unit": "years"}
    assert store.report() == ("2,403 rows with an empty parameter name, dropped",)
    assert isinstance(store["age"], np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        store["age"][0] = 1


def test_nothing_changed_nothing_prepared(tmp_path, raw):
    first = prepare(tmp_path / "stores", raw, hours=48)
    again = prepare(tmp_path / "stores", raw, hours=48, writing=forbidden)
    assert again.path == first.path
    assert again.fingerprint == first.fingerprint
    assert again.explanation[0].startswith("Reused")


def test_a_moved_data_set_is_the_same_data_set(tmp_path, raw):
    prepare(tmp_path / "stores", raw)
    raw[0].parent.rename(tmp_path / "elsewhere")
    prepare(tmp_path / "stores", sorted((tmp_path / "elsewhere").iterdir()), writing=forbidden)


def test_one_changed_byte_gives_another_store_and_is_named(tmp_path, raw):
    first = prepare(tmp_path / "stores", raw)
    content = bytearray(raw[3].read_bytes())
    content[-2] ^= 1
    stamp = raw[3].stat()
    raw[3].write_bytes(content)
    os.utime(raw[3], ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    second = prepare(tmp_path / "stores", raw)
    assert second.path != first.path
    assert second.explanation == ("Not reused: raw file 3.txt changed.", f"{second.path.name} must be built.")


def test_new_and_lost_files_and_parameters_are_named(tmp_path, raw):
    prepare(tmp_path / "stores", raw, hours=48)
    (raw[0].parent / "new.txt").write_text("patient")
    reasons = prepare(tmp_path / "stores", [*raw[1:], raw[0].parent / "new.txt"], hours=24).explanation
    assert reasons[:3] == (
        "Not reused: raw file new.txt is new.",
        "Not reused: raw file 0.txt is gone.",
        "Not reused: parameter hours: 48 became 24.",
    )


def test_many_changes_are_summed_up(tmp_path, raw):
    prepare(tmp_path / "stores", raw)
    for path in raw:
        path.write_text("other")
    assert "Not reused: raw file: 3 more differ." in prepare(tmp_path / "stores", raw).explanation


def test_other_data_are_not_explained_by_unrelated_stores(tmp_path, raw):
    """A store of other data did not become this one: only files of the same name may have been edited."""
    prepare(tmp_path / "stores", raw, hours=48)
    other = tmp_path / "elsewhere" / "stays.csv"
    other.parent.mkdir()
    other.write_text("another hospital")
    (sentence,) = prepare(tmp_path / "stores", [other], hours=24).explanation
    assert "has 1 store of the layout demo, of other data: demo-" in sentence
    other.write_text("a third hospital")
    reasons = prepare(tmp_path / "stores", [other], hours=12).explanation
    assert reasons[0] == "Not reused: raw file stays.csv differs."
    assert not any("became" in sentence for sentence in reasons)


def test_a_changed_function_is_named(tmp_path, raw, monkeypatch):
    prepare(tmp_path / "stores", raw)
    source = fingerprint.inspect.getsource

    def edited(unit: object) -> str:
        text = source(unit)
        return text.replace("def offsets_of", "def offsets_of", 1).replace("offsets[1:]", "offsets[ 1:]")

    monkeypatch.setattr(fingerprint.inspect, "getsource", edited)
    reasons = prepare(tmp_path / "stores", raw).explanation
    assert reasons[0] == "Not reused: code homeostat.data.ragged.offsets_of changed."


def test_the_nearest_store_explains(tmp_path, raw):
    prepare(tmp_path / "stores", raw, hours=48, size=1)
    prepare(tmp_path / "stores", raw, hours=12, size=2)
    reasons = prepare(tmp_path / "stores", raw, hours=24, size=2).explanation
    assert reasons[0] == "Not reused: parameter hours: 12 became 24."


def test_explain_prepares_nothing(tmp_path, raw):
    origin = Origin.of("demo", raw=raw, code=[write], parameters={})
    explanation = explain(tmp_path / "stores", origin)
    assert not explanation.reused
    assert str(explanation) == f"No demo store in {tmp_path / 'stores'} yet: it must be built."
    assert not (tmp_path / "stores").exists()


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "unseal"])
def test_a_damaged_store_is_found_and_built_again(tmp_path, raw, damage):
    path = prepare(tmp_path / "stores", raw).path
    victim = path / "age.npy"
    if damage == "flip":
        content = bytearray(victim.read_bytes())
        content[-1] ^= 1
        victim.write_bytes(content)
    elif damage == "cut":
        victim.write_bytes(victim.read_bytes()[:-1])
    else:
        (victim if damage == "remove" else path / "seal.json").unlink()
    (fault,) = verify(path)
    assert ("seal.json" if damage == "unseal" else "age.npy") in fault
    again = prepare(tmp_path / "stores", raw)
    assert again.path == path
    assert again.explanation == (fault, f"{path.name} must be built again.")
    assert verify(path) == ()
    assert [entry.name for entry in (tmp_path / "stores").iterdir()] == [path.name]


def test_a_half_written_store_is_ignored(tmp_path, raw):
    def killed(writer: Writer) -> None:
        write(writer)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "stores", raw, writing=killed)
    assert list((tmp_path / "stores").iterdir()) == []
    # What SIGKILL leaves: a temporary folder that nobody seals.
    leftover = tmp_path / "stores" / ".demo-0.0.tmp"
    leftover.mkdir()
    (leftover / "origin.json").write_text("{")
    assert prepare(tmp_path / "stores", raw).explanation[0].startswith("No demo store")
    assert leftover.exists()
    os.utime(leftover, (0, 0))
    prepare(tmp_path / "stores", raw, hours=1)
    assert not leftover.exists()


def test_a_broken_neighbour_does_not_stop_a_build(tmp_path, raw):
    path = prepare(tmp_path / "stores", raw).path
    (path / "origin.json").write_text("{" * (path / "origin.json").stat().st_size)
    assert prepare(tmp_path / "stores", raw, hours=1).explanation[0].startswith("No demo store")


@pytest.mark.parametrize(
    ("values", "allowed", "sentence"),
    [
        (
            np.array([[1.0, 2.0], [3.0, np.nan], [np.nan, 1.0]]),
            False,
            r"'x' holds NaN in row 1 \(2 of 3 rows",
        ),
        (np.array([1.0, np.inf]), False, "'x' holds an infinity in row 1"),
        (np.array([np.nan, -np.inf]), True, "'x' holds an infinity in row 1"),
        (np.array(["a", None], dtype=object), False, "'x' holds Python objects"),
    ],
)
def test_what_is_not_a_number_is_reported_with_its_row(tmp_path, values, allowed, sentence):
    with pytest.raises(DataError, match=sentence):
        build(
            tmp_path,
            name="x",
            raw=[],
            code=[],
            parameters={},
            write=lambda writer: writer.array("x", values, missing_allowed=allowed),
        )
    assert list(tmp_path.iterdir()) == []


def test_missing_values_may_be_declared(tmp_path):
    store = build(
        tmp_path,
        name="x",
        raw=[],
        code=[],
        parameters={},
        write=lambda writer: writer.array("x", np.array([1.0, np.nan]), missing_allowed=True),
    )
    assert np.isnan(store["x"][1])


def test_names_of_arrays_are_checked(tmp_path, raw):
    store = prepare(tmp_path / "stores", raw)
    with pytest.raises(DataError, match=r"no array 'agee'\. It has: age, id, pulse"):
        store["agee"]
    assert "age" in store

    def twice(writer: Writer) -> None:
        writer.array("x", np.zeros(1))
        writer.array("x", np.zeros(1))

    with pytest.raises(DataError, match="'x' is written twice"):
        prepare(tmp_path / "stores", raw, writing=twice, hours=2)


def test_missing_raw_files_and_stores_say_what_to_do(tmp_path, raw):
    with pytest.raises(DataError, match=r"There is no file .*gone\.txt\. .* --data"):
        prepare(tmp_path / "stores", [*raw, tmp_path / "gone.txt"])
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Stores cannot be written to .*file.* --stores"):
        prepare(tmp_path / "file", raw)
    with pytest.raises(DataError, match="no store at .* homeostat data prepare"):
        Store.open(tmp_path / "nothing")


IN_CHILD = """
import sys, time
from pathlib import Path
import numpy as np
from homeostat.data import ragged
from homeostat.data.store import build, verify

root, raw, gate = Path(sys.argv[1]), sorted(Path(sys.argv[2]).iterdir()), Path(sys.argv[3])
Path(f"{gate}.{sys.argv[4]}").touch()
while not gate.exists():
    time.sleep(0.001)
store = build(root, name="demo", raw=raw, code=[ragged], parameters={},
             write=lambda writer: writer.array("x", np.arange(1000.0)))
print(store.path.name, store.fingerprint, verify(store.path), float(store["x"].sum()))
"""


@pytest.mark.faults
@pytest.mark.parametrize("corrupt", [False, True])
def test_processes_may_prepare_one_store_at_once(tmp_path, raw, corrupt):
    root, gate = tmp_path / "stores", tmp_path / "gate"

    def start(number: int) -> subprocess.Popen:
        arguments = [root, raw[0].parent, gate, number]
        command = [sys.executable, "-c", IN_CHILD, *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    if corrupt:
        gate.touch()
        start(9).communicate(timeout=PATIENCE_S)
        next(root.glob("*/x.npy")).write_bytes(b"")
        gate.unlink()
    crew = [start(number) for number in range(4)]
    wait_for(lambda: len(list(tmp_path.glob("gate.[0-3]"))) == 4)
    gate.touch()
    outputs = {process.communicate(timeout=PATIENCE_S)[0] for process in crew}
    assert [process.returncode for process in crew] == [0] * 4
    assert len(outputs) == 1
    assert outputs.pop().endswith("() 499500.0\n")
    assert len(list(root.iterdir())) == 1


@pytest.mark.faults
def test_a_killed_preparation_leaves_nothing_that_is_read(tmp_path, raw):
    """SIGKILL at moments spread over the preparation; what follows is as if it had never been tried."""
    root = tmp_path / "stores"
    script = IN_CHILD.replace("np.arange(1000.0)", "np.arange(3e6)").replace(
        'writer.array("x"', 'writer.array("y"'
    )
    for number in range(8):
        gate = tmp_path / f"gate{number}"
        child = subprocess.Popen([sys.executable, "-c", script, *map(str, (root, raw[0].parent, gate, 0))])
        wait_for((tmp_path / f"gate{number}.0").exists)
        gate.touch()
        time.sleep(0.01 * number)
        child.kill()
        child.wait(PATIENCE_S)
        for path in root.glob("demo-*"):
            assert verify(path) == ()
    assert prepare(root, raw)["age"].tolist() == [50, 61, 72]


DISK_FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from homeostat.data.store import build
from homeostat.errors import OutOfResources

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    build(Path(sys.argv[1]), name="x", raw=[], code=[], parameters={},
          write=lambda writer: writer.array("x", np.zeros(100_000)))
except OutOfResources as error:
    sys.exit(str(error))
"""


@pytest.mark.faults
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", DISK_FULL, str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    assert "The disk is full: the store x-" in process.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_is_that_of_the_content(tmp_path, raw):
    one = prepare(tmp_path / "stores", raw, comment="a")
    two = prepare(tmp_path / "stores", raw, comment="b")
    assert one.path != two.path
    assert one.fingerprint == two.fingerprint


def test_the_origin_is_readable_json(tmp_path, raw):
    store = prepare(tmp_path / "stores", raw, hours=48)
    origin = json.loads((store.path / "origin.json").read_text())
    assert origin["parameters"] == {"hours": 48}
    assert set(origin["raw"]) == {f"{number}.txt" for number in range(8)}
