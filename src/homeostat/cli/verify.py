"""Read everything that a run reads again, and say what holds: its files, those of its children, and its store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from homeostat import console
from homeostat.cli import flags
from homeostat.data import store
from homeostat.data.splits import Splits
from homeostat.engine import checkpoint
from homeostat.errors import DataError, HomeostatError, RunError
from homeostat.evaluate import ledger, predictions
from homeostat.run import Run, journal, manifest, sealed


@dataclass(frozen=True, kw_only=True)
class Verify:
    """The run to read."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    seal: bool = False
    """Take every file as it is now, because you vouch for it: after an edit of your own, or for a run of an older
    version. A training goes on only if its settings are still those of its checkpoints."""
    json: bool = False
    """Print JSON."""


def run(command: str, words: Sequence[str]) -> None:
    """Run `verify`. Files that do not hold end with exit code 3."""
    options = flags.parse(
        Verify, words, f"homeostat {command}", "Read everything in a run, and say what holds."
    )
    verified = Run(options.run)
    if not verified.folder.is_dir():
        raise RunError(f"{verified.folder} is not a run: there is no such folder.")
    if any(_is_alive(member) for _, member in verified.family()):
        raise RunError(f"{verified.folder} is running. Verify it when it has stopped.")
    if options.seal:
        seal(verified)
    verify(verified, options.json)


def _is_alive(run: Run) -> bool:
    try:
        return run.is_alive()
    except RunError:  # its journal is no file, which is told among what does not hold
        return False


def seal(run: Run) -> None:
    """Take the files of a run and of its children as they are."""
    for name, member in run.family():
        for file in sealed.reseal(member.folder):
            console.say(f"sealed {name}/{file}" if name else f"sealed {file}")


def verify(run: Run, as_json: bool = False) -> None:
    """Print what holds, and raise an error that names what does not."""
    problems: dict[str, str] = {}
    count = 0
    for name, member in run.family():
        found = {**sealed.problems(member.folder), **dict(_unreadable(member))}
        problems |= {f"{name}/{file}" if name else file: sentence for file, sentence in found.items()}
        count += len(manifest.present(member.folder))
    stores = dict(_stores(run))
    problems |= {path: sentence for path, sentence in stores.items() if sentence}
    if as_json:
        console.say(json.dumps({"run": str(run.folder), "files": count, "problems": problems}, indent=1))
    else:
        for sentence in problems.values():
            console.say(sentence)
        held = [path for path, sentence in stores.items() if not sentence]
        console.say(
            "\n".join(f"The store {path} holds." for path in held) or "Its store is not here: not read."
        )
        if not problems:
            console.say(f"All {count} sealed files of {run.folder} hold.")
    if problems:
        raise DataError(
            f"{run.folder}: {', '.join(problems)} {'does' if len(problems) == 1 else 'do'} not hold."
        )


def _unreadable(run: Run) -> Iterator[tuple[str, str]]:
    """Yield each file that has its digest, but cannot be read as what it is, and the files that have no digest."""
    readers = {".parquet": predictions.read, ".json": sealed.read_json, ".ckpt": checkpoint.read}
    for name in sealed.listed(run.folder) if not sealed.problems(run.folder) else ():
        path = run.folder / name
        try:
            (Splits.load if path == run.splits_file else readers.get(path.suffix, sealed.read))(path)
        except HomeostatError as error:
            yield name, str(error)
    if run.status()["state"] == "unknown":
        yield run.status_file.name, str(run.status()["reason"])
    try:
        ledger.reads(run.ledger_file)
    except HomeostatError as error:
        yield run.ledger_file.name, str(error)
    try:
        if lines := journal.damaged(run.journal_file):
            yield (
                run.journal_file.name,
                f"{run.journal_file}: {len(lines)} lines hold other values than homeostat writes; the first is line "
                f"{lines[0]}. Commands leave them out. Restore the file from a backup to have them again.",
            )
    except HomeostatError as error:
        yield run.journal_file.name, str(error)


def _stores(run: Run) -> Iterator[tuple[str, str]]:
    """Yield the stores that the splits of a run name, where they are here, each with what does not hold in it."""
    try:
        root = Path(str(run.config().get("stores", "")))
        members = [member for _, member in run.family() if sealed.has(member.splits_file)]
        wanted = {Splits.load(member.splits_file).fingerprint for member in members}
    except HomeostatError:
        return  # told among the files of the run
    for path in sorted(root.iterdir()) if root.name and root.is_dir() else ():
        try:
            is_ours = path.is_dir() and store.Store.open(path).fingerprint in wanted
        except DataError:
            continue  # of another run, perhaps half built: nothing says that it is the store of this one
        if is_ours:
            yield str(path), " ".join(store.verify(path))
