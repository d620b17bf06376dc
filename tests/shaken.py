"""Runs that are made once and then shaken: mutated in their files, killed or starved of space at a file operation.

`python tests/shaken.py mutations --recipe curve --count 500 --seed 1`
`python tests/shaken.py operations --recipe curve [--kinds kill,full] [--every 7]`
`python tests/shaken.py mutations operations --count 40 --every 80`
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import importlib
import json
import os
import pkgutil
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import curve
import homeostat
import shim
from homeostat.recipes import RECIPES

SMALL = {
    "curve": ("--save-every", 10),
    "battery": ("--preset", "smoke"),
    "cell": ("--preset", "smoke"),
    "icu": ("--preset", "smoke"),
}


@dataclass(frozen=True)
class Ground:
    """The data and the store of a recipe, and a place for its runs."""

    recipe: str
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def train(self, run: Path) -> tuple[object, ...]:
        return (
            *("train", self.recipe, "--data", self.data, "--stores", self.folder / "stores"),
            *("--jobs", 1, "--run", run, *SMALL[self.recipe]),
        )

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def do(self, *commands: tuple[object, ...], limit_s: float = 600.0) -> shim.End:
        return shim.forked(lambda: shim.commanded(commands), self.log, limit_s)


def loaded() -> None:
    """Import what the commands import, once: forked processes find it, and only what computes starts threads."""
    RECIPES["curve"] = lambda: curve.recipe
    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(homeostat.__path__, "homeostat."):
        if not module.name.startswith(("homeostat.adapters", "homeostat.__main__")):
            importlib.import_module(module.name)
    # The first optimiser would load torch._dynamo, for seconds, in each forked process anew.
    for name in ("torch._dynamo", "typeguard", "xgboost", "matplotlib.pyplot"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def prepared(recipe: str, folder: Path) -> Ground:
    """Simulate the data of a recipe, and train it once, so that its store is there."""
    loaded()
    ground = Ground(recipe, folder)
    end = ground.do(("data", "simulate", recipe, "--out", ground.data), ground.train(folder / "whole"))
    assert end.code == 0, end.text
    return ground


def facts(run: Path) -> dict[str, Any]:
    """Everything that a run has come to: the State of each training, and each prediction."""
    return {**states(run), **predicted(run)}


def states(run: Path) -> dict[str, str]:
    """Digest of the newest State of each training."""
    import hashlib

    from homeostat.engine import checkpoint

    found = {}
    for folder in sorted({path.parent for path in run.rglob("step-*.ckpt")}):
        state = checkpoint.read(checkpoint.ring(folder)[-1])["state"]
        buffer = hashlib.sha256()
        _feed(state, buffer)
        found[str(folder.relative_to(run))] = buffer.hexdigest()
    return found


def _feed(value: Any, digest: Any) -> None:
    if isinstance(value, torch.Tensor):
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, dict):
        for key, item in value.items():
            digest.update(repr(key).encode())
            _feed(item, digest)
    elif isinstance(value, list | tuple):
        for item in value:
            _feed(item, digest)
    else:
        digest.update(repr(value).encode())


def predicted(run: Path) -> dict[str, str]:
    """Each prediction file, as its rows in words."""
    import hashlib

    import polars

    return {
        str(path.relative_to(run)): hashlib.sha256(
            repr(polars.read_parquet(path).rows()).encode()
        ).hexdigest()
        for path in sorted(run.rglob("*.parquet"))
    }


def kept(ground: Ground, run: Path, *commands: tuple[object, ...]) -> tuple[shim.End, dict[str, Any]]:
    """Run commands, then read what the run has come to, in a forked process: this one stays without threads."""
    out = ground.folder / "facts.json"
    out.unlink(missing_ok=True)

    def work() -> int:
        if code := shim.commanded(commands):
            return code
        out.write_text(json.dumps({"facts": facts(run), "names": names(run)}))
        return shim.commanded([("verify", run)])

    end = shim.forked(work, ground.log)
    return end, json.loads(out.read_text()) if out.exists() else {}


def names(run: Path) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.rglob("*"))


# --- every operation ---------------------------------------------------------------------------------------------


def operations(ground: Ground, kind: str, every: int, first: int = 1) -> Iterator[tuple[int, str]]:
    """Fail at each operation of a training in turn; yield what was wrong with it, or an empty text."""
    end, expected = kept(ground, ground.folder / "whole")
    assert end.code == 0, end.text
    run = ground.folder / "shaken"
    at = first
    while True:
        shutil.rmtree(run, ignore_errors=True)
        end = shim.forked(lambda at=at: _armed(run, at, ground.train(run), kind == "kill"), ground.log)
        if end.code == 0 and 0 < end.operations < at:
            return
        yield at, _wrong(ground, run, kind, end, expected)
        at += every


def _wrong(ground: Ground, run: Path, kind: str, end: shim.End, expected: dict[str, Any]) -> str:
    allowed = {"kill": (-9, 0), "full": (6, 0)}[kind]
    if end.code not in allowed or end.has_traceback:
        return f"exit code {end.code}: {end.text[-1500:]}"
    if end.code == 6 and "room" not in end.text:
        return f"no sentence: {end.text[-500:]}"
    again: tuple[tuple[object, ...], ...] = (("resume", run, "--jobs", 1),) if end.code else ()
    after, actual = kept(ground, run, *again)
    if after.code == 2 and ("never began" in after.text or "is not a run" in after.text):
        after, actual = kept(ground, run, ground.train(run))
    if not actual or after.has_traceback:
        return f"resume: exit code {after.code}: {after.text[-1500:]}"
    if actual["facts"] != expected["facts"]:
        return f"other bits: {str(actual['facts'])[:500]}"
    if actual["names"] != expected["names"]:
        return f"other files: {sorted(set(actual['names']) ^ set(expected['names']))}"
    return "" if after.code == 0 else f"verify: {after.text[-800:]}"


# --- mutations ---------------------------------------------------------------------------------------------------


def mutate(run: Path, other: Path, dice: random.Random) -> str:
    """Change one file of a run; return what was done, in words."""
    files = sorted(path for path in run.rglob("*") if path.is_file() and not path.is_symlink())
    path = dice.choice(files)
    name, change = path.relative_to(run), dice.choice(CHANGES)
    return f"{change.__name__} {name}{change(path, run, other, dice)}"


def bit_flip(path: Path, run: Path, other: Path, dice: random.Random) -> str:
    data = bytearray(path.read_bytes())
    if data:
        place, bit = dice.randrange(len(data)), dice.randrange(8)
        data[place] ^= 1 << bit
        path.write_bytes(bytes(data))
        return f" byte {place} bit {bit}"
    return ""


def truncated(path: Path, run: Path, other: Path, dice: random.Random) -> str:
    data = path.read_bytes()
    length = dice.randrange(len(data)) if data else 0
    path.write_bytes(data[:length])
    return f" to {length}"


def emptied(path: Path, run: Path, other: Path, dice: random.Random) -> str:
    path.write_bytes(b"")
    return ""


def deleted(path: Path, run: Path, other: Path, dice: random.Random) -> str:
    path.unlink()
    return ""


def of_another_run(path: Path, run: Path, other: Path, dice: random.Random) -> str:
    twin = other / path.relative_to(run)
    if twin.is_file():
        shutil.copyfile(twin, path)
    return ""


def value_changed(path: Path, run: Path, other: Path, dice: random.Random) -> str:
    """Change one value of a JSON file, or one line of a file of lines, keeping it JSON."""
    if path.suffix not in (".json", ".jsonl"):
        return bit_flip(path, run, other, dice)
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    row = dice.randrange(len(lines)) if lines else 0
    plain = json.loads(lines[row]) if lines else {}
    places = list(_places(plain))
    if not places:
        return ""
    holder, key = dice.choice(places)
    old = holder[key]
    choices = [None, -1, 7, 1e9, "x", [], {}, True, "../..", 0.5]
    holder[key] = dice.choice([each for each in choices if each != old])
    lines[row] = json.dumps(plain)
    path.write_text("\n".join(lines) + "\n")
    return f" {key}: {str(old)[:40]} -> {holder[key]!r}"


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def swapped(path: Path, run: Path, other: Path, dice: random.Random) -> str:
    twins = [each for each in run.rglob(f"*{path.suffix}") if each.is_file() and each != path]
    if not twins:
        return ""
    twin = dice.choice(sorted(twins))
    mine, theirs = path.read_bytes(), twin.read_bytes()
    path.write_bytes(theirs)
    twin.write_bytes(mine)
    return f" with {twin.relative_to(run)}"


def folder_instead(path: Path, run: Path, other: Path, dice: random.Random) -> str:
    path.unlink()
    path.mkdir()
    return ""


def link_instead(path: Path, run: Path, other: Path, dice: random.Random) -> str:
    target = path.rename(other / f"moved-{path.name}")
    path.symlink_to(target if dice.random() < 0.5 else other / "nowhere")
    return ""


def pipe_instead(path: Path, run: Path, other: Path, dice: random.Random) -> str:
    path.unlink()
    os.mkfifo(path)
    return ""


def duplicated(path: Path, run: Path, other: Path, dice: random.Random) -> str:
    names = {".ckpt": "step-999999.ckpt", ".parquet": "test-twin.parquet"}
    twin = path.with_name(names.get(path.suffix, f"copy-{path.name}"))
    shutil.copyfile(path, twin)
    return f" as {twin.name}"


CHANGES: tuple[Callable[[Path, Path, Path, random.Random], str], ...] = (
    bit_flip, truncated, emptied, deleted, of_another_run, value_changed, value_changed, swapped, folder_instead,
    link_instead, pipe_instead, duplicated,
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What became of one mutation."""

    kind: str
    """harmless, told, traceback, hang, signal, or silent: another result without a word."""
    change: str
    detail: str = ""


def mutations(ground: Ground, count: int, seed: int, limit_s: float = 30.0) -> Iterator[Verdict]:
    """Mutate copies of a run that is done, or was left in the middle, and try the commands on each."""
    dice = random.Random(f"{ground.recipe} {seed}")
    whole, other, half = (ground.folder / name for name in ("scored", "other", "half"))
    if not other.exists():
        shutil.copytree(ground.folder / "whole", whole)
        end = ground.do((*ground.train(other), "--seed", 11))
        assert end.code == 0, end.text
        ground.do(("evaluate", whole))
        ground.do(("evaluate", other))
        _halve(ground, half)
    for place in (whole, half):
        clean = _tried(ground, place, limit_s)
        assert clean["codes"], clean
        assert not any(clean["codes"].values()), clean
        CLEAN[place.name] = clean["results"]
    run, beside = ground.folder / "mutated", ground.folder / "beside"
    for _ in range(count):
        source = whole if dice.random() < 0.6 else half
        for target, origin in ((run, source), (beside, other)):
            _remove(target)
            shutil.copytree(origin, target, symlinks=True)
        change = f"{source.name}: {mutate(run, beside, dice)}"
        yield _verdict(_tried(ground, run, limit_s, copy=False), CLEAN[source.name], change)


CLEAN: dict[str, Any] = {}


def _halve(ground: Ground, half: Path) -> None:
    """Kill a training at half of its operations."""
    end = shim.forked(lambda: _armed(half, 10**9, ground.train(half), True), ground.log)
    shutil.rmtree(half)
    shim.forked(lambda: _armed(half, end.operations // 2, ground.train(half), True), ground.log)


def _armed(run: Path, at: int, words: tuple[object, ...], kills: bool) -> int:
    """Train, with one operation that fails."""
    shim.armed(run, at, kills=kills)
    return shim.commanded([words])


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _tried(ground: Ground, run: Path, limit_s: float, copy: bool = True) -> dict[str, Any]:
    """Try every command on a run, in one process; return their exit codes, words and results."""
    if copy:
        twin = ground.folder / "mutated"
        _remove(twin)
        shutil.copytree(run, twin, symlinks=True)
        run = twin
    out, new = ground.folder / "tried.json", ground.folder / "new.csv"
    out.unlink(missing_ok=True)
    new.unlink(missing_ok=True)
    commands = {
        "runs": ("runs", "--root", run.parent),
        "status": ("status", run),
        "logs": ("logs", run),
        "verify": ("verify", run),
        "predict": ("predict", run, "--data", ground.data, "--out", new),
        "report": ("report", run),
        "evaluate": ("evaluate", run),
        "resume": ("resume", run, "--jobs", 1),
    }
    is_half = not (run / "predictions").exists()
    codes: dict[str, Any] = {}

    def work() -> int:
        import traceback as tracebacks

        from homeostat.cli import main

        results: dict[str, Any] = {}
        for name, words in commands.items():
            if is_half and name in ("predict", "evaluate"):
                continue
            began = time.monotonic()
            try:
                sys.stderr.write(f"\n>>> {name}\n")
                sys.stderr.flush()
                codes[name] = main([str(word) for word in words])
            except SystemExit as error:
                codes[name] = int(error.code or 0)
            except BaseException:  # noqa: BLE001  # whatever leaves a command is what is counted here
                codes[name] = "traceback"
                tracebacks.print_exc()
            took = time.monotonic() - began
            if name == "predict" and codes[name] == 0:
                results["predict"] = new.read_text()
            if name == "evaluate" and codes[name] == 0:
                metrics = json.loads((run / "metrics.json").read_text())
                results["evaluate"] = [score.get("value") for score in metrics["scores"]]
            if name == "resume" and codes[name] == 0:
                try:
                    results["resume"] = facts(run)
                except BaseException as error:  # noqa: BLE001  # told as the result
                    results["resume"] = repr(error)
            if took > 10 and name != "resume":
                codes[name] = "hang"
            out.write_text(json.dumps({"codes": codes, "results": results}))
        return 0

    end = shim.forked(work, ground.log, limit_s)
    found = json.loads(out.read_text()) if out.exists() else {"codes": {}, "results": {}}
    return {**found, "end": end.code, "text": end.text}


def _verdict(tried: dict[str, Any], clean: dict[str, Any], change: str) -> Verdict:
    last = tried["text"].rpartition(">>> ")[2]
    if tried["end"] == -14:
        return Verdict("hang", change, last[:200])
    if tried["end"] < 0:
        return Verdict("signal", change, f"{tried['end']} {last[:200]}")
    codes = tried["codes"]
    if "traceback" in codes.values() or tried["end"]:
        return Verdict("traceback", change, _traceback(tried["text"]))
    if "hang" in codes.values():
        return Verdict("hang", change, str(codes))
    silent = [name for name, result in tried["results"].items() if result != clean.get(name)]
    if silent:
        return Verdict("silent", change, f"{silent} {codes} {_words(tried['text'])}")
    told = any(code for code in codes.values())
    return Verdict("told" if told else "harmless", change, str(codes))


def _traceback(text: str) -> str:
    lines = text[text.find("Traceback") :].splitlines()
    end = next((number for number, line in enumerate(lines[1:], 1) if line and line[0] != " "), len(lines))
    return "\n".join(
        [text[: text.find("Traceback")].rpartition(">>> ")[2][:20], *lines[max(end - 6, 0) : end + 1]]
    )


def _words(text: str) -> str:
    return " | ".join(line for line in text.splitlines() if "ckpt" in line or "error" in line)[:300]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="+", choices=["mutations", "operations"])
    parser.add_argument("--recipe", default="curve")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--kinds", default="kill,full")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        if shim.LIBRARY not in os.environ:
            library = shim.built(folder)
            os.execve(sys.executable, [sys.executable, *sys.argv], shim.environment(library))
        ground = (
            prepared(options.recipe, folder)
            if not (folder / "whole").exists()
            else _again(options.recipe, folder)
        )
        wrong = 0
        if "mutations" in options.what:
            wrong += _mutated(ground, options.count, options.seed)
        if "operations" in options.what:
            for kind in options.kinds.split(","):
                wrong += _failed(ground, kind, options.every, options.first)
    return int(wrong > 0)


def _mutated(ground: Ground, count: int, seed: int) -> int:
    """Print every mutation that was not met with a sentence, and the counts; return how many there were."""
    began = time.monotonic()
    tally: collections.Counter[str] = collections.Counter()
    for verdict in mutations(ground, count, seed):
        tally[verdict.kind] += 1
        if tally.total() % 50 == 0:
            say(f"{ground.recipe}: {dict(tally)} so far, {time.monotonic() - began:.0f} s")
        if verdict.kind not in ("told", "harmless"):
            say(f"{verdict.kind} {verdict.change}\n    {verdict.detail}")
    wrong = tally.total() - tally["told"] - tally["harmless"]
    say(f"{ground.recipe}: {tally.total()} mutations, {dict(tally)}, wrong: {wrong}")
    return wrong


def _failed(ground: Ground, kind: str, every: int, first: int) -> int:
    """Print every operation at which a fault did harm, and the counts; return how many there were."""
    began = time.monotonic()
    count = wrong = 0
    for at, sentence in operations(ground, kind, every, first):
        count += 1
        if sentence:
            wrong += 1
            say(f"{kind} at operation {at}: {sentence}")
        if count % 50 == 0:
            say(f"{kind} at {count} operations so far, wrong: {wrong}, {time.monotonic() - began:.0f} s")
    say(f"{ground.recipe}: {kind} at {count} operations, every {every}, wrong: {wrong}")
    return wrong


def _again(recipe: str, folder: Path) -> Ground:
    loaded()
    return Ground(recipe, folder)


if __name__ == "__main__":
    raise SystemExit(main())
