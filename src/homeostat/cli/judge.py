"""Show what came out of a run: scores, predictions, comparisons, a report and exported weights."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from homeostat import console
from homeostat.cli import flags
from homeostat.cli.origin import has_recipe, recipe_of, warn_of_changes
from homeostat.data import prepared
from homeostat.data.drift import PROFILE, changes
from homeostat.errors import ConfigError, RunError, command
from homeostat.evaluate import predictions, summary
from homeostat.evaluate.contest import by_method, contest, without_predictions
from homeostat.run import Run, open_run, sealed


@dataclass(frozen=True, kw_only=True)
class One:
    """One run."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One run, and the form of the answer."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    json: bool = False
    """Print JSON: the contents of metrics.json."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    """New data, and the file of their predictions."""

    run: tyro.conf.Positional[Path]
    """Folder of the run whose best model is used."""
    data: Path
    """Raw data in the recipe's layout, with or without targets."""
    out: Path
    """File to write: .parquet, or .csv. A file of this name and .json says what was read, clipped and dropped."""
    units: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=UNIT")] = ()
    """Units of the new data, where they are others than those of training, such as Temp=F (icu)."""


@dataclass(frozen=True, kw_only=True)
class Several:
    """Runs."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of the runs; those that differ in their seed alone count as one method."""
    score: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Score to compare; left out, the usual one of the kind."""
    split: Annotated[Literal["test", "out-of-fold", "valid"] | None, tyro.conf.arg(metavar="SPLIT")] = None
    """Predictions to compare: test, out-of-fold or valid; left out, the first of these that all runs have. Each
    reading of test is noted in the ledgers. Values on valid are optimistic."""
    json: bool = False
    """Print JSON."""


def run(command: str, words: Sequence[str]) -> None:
    """Run `evaluate`, `predict`, `compare`, `report` or `export`."""
    {"evaluate": _evaluate, "predict": _predict, "compare": _compare, "report": _report, "export": _export}[
        command
    ](words)


def _evaluate(words: Sequence[str]) -> None:
    options = flags.parse(Scored, words, "homeostat evaluate", "Score the prediction files of a run.")
    run = open_run(options.run)
    warn_of_changes(run)
    if options.json:
        with contextlib.redirect_stdout(sys.stderr):  # what a recipe says besides is for people
            metrics = score(run)
        console.emit(metrics)
    else:
        evaluate(run)


def evaluate(run: Run) -> None:
    """Score the prediction files of a run, write metrics.json, and print the headline."""
    metrics = score(run)
    console.table(("score", "model", "split", "value", "interval", "trivial", "n"), _rows(metrics))
    console.say(
        f"\nWrote {run.metrics_file} with {len(metrics['scores'])} scores\n"
        f"Next: {command('report', run.folder)}"
    )


def score(run: Run) -> Mapping[str, Any]:
    """Score the prediction files of a run and write metrics.json. A run without a recipe is scored by their kind."""
    scores = recipe_of(run)[0].scores if has_recipe(run) else summary.of_run
    if not sealed.files(run.predictions, "*.parquet"):
        raise without_predictions(run)
    metrics = scores(run.folder)
    paths = sealed.files(run.predictions, "*.parquet")
    source = {path.relative_to(run.folder).as_posix(): sealed.digest(path) for path in paths}
    sealed.write_json(run.metrics_file, metrics, source)
    return metrics


def refresh(run: Run) -> None:
    """Make anew what was made from an earlier end of this run: a longer training leaves nothing stale behind."""
    if run.metrics_file.exists():
        evaluate(run)
    if run.report_file.exists():
        report(run)
    # Only what was there: whoever never exported wants no file that appears by itself.
    if any(run.folder.rglob(f"{run.export.name}/*.safetensors")):
        export(run)


def _rows(metrics: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The headline's score of every model on the headline's split, the run's own model first."""
    headline = metrics["headline"]
    same = [
        score
        for score in metrics["scores"]
        if (score["name"], score["split"]) == (headline["name"], headline["split"])
    ]
    return [_row(score) for score in sorted(same, key=lambda score: score["model"] != headline["model"])]


def _row(score: Mapping[str, Any]) -> tuple[str, ...]:
    name = " ".join(part for part in (score["name"], score.get("target", "")) if part)
    value = score["note"] if score["value"] is None else console.number(score["value"])
    low, high, trivial = (score.get(key) for key in ("low", "high", "trivial"))
    interval = "" if low is None or high is None else f"{console.number(low)} to {console.number(high)}"
    beside = "" if trivial is None else console.number(trivial)
    return name, score["model"], score["split"], value, interval, beside, str(score["n"])


def _predict(words: Sequence[str]) -> None:
    options = flags.parse(
        Predict, words, "homeostat predict", "Predict new data with the best model of a run."
    )
    run = open_run(options.run)
    warn_of_changes(run)
    predict(run, options.data, options.out, options.units)


def predict(run: Run, data: Path, out: Path, units: Sequence[str] = ()) -> None:
    """Predict new data, into a file of the kind that its name says."""
    if out.suffix not in (".parquet", ".csv"):
        raise ConfigError(
            f"--out {out} does not say what to write. Give it a name that ends in .parquet or .csv."
        )
    answers, about = answer(run, data, units)
    if out.suffix == ".parquet":
        predictions.write(answers, out)
    else:
        predictions.write_csv(answers, out)
    sealed.write_json(beside(out), about)
    console.say(
        f"Wrote {out} with {len(answers):,} predictions of {answers.model}, and {beside(out)} about them"
    )


def answer(
    run: Run, data: Path, units: Sequence[str] = ()
) -> tuple[predictions.Predictions, Mapping[str, Any]]:
    """Return the predictions of new data, and the facts about them that a reader of them needs."""
    if not data.exists():
        raise ConfigError(f"--data {data} does not exist.")
    recipe, config = recipe_of(run)
    config = in_units(config, units)
    if (state := run.status()["state"]) != "done":
        raise RunError(
            f"{run.folder} has no model to predict with: its state is {state}. "
            f"Finish it with `{command('resume', run.folder)}`."
        )
    blueprint = (recipe.new_blueprint or recipe.blueprint)(config, data)
    store = blueprint.build(Path(run.config()["stores"]))
    for sentence in (*store.explanation, *store.report()):
        console.say(sentence)
    moved = [str(change) for change in changes(prepared.profiles(run), store.meta.get(PROFILE, ()))]
    for sentence in moved:
        console.warn(sentence)
    answers = recipe.predict(config, run, store)
    learnt = _learnt(run, answers)
    if learnt:
        console.warn(
            f"{learnt:,} of {len(answers):,} rows have the id or the subject of a training or validation row of this "
            "run. If they are the same, the model knows them: how well it does there says nothing about new ones."
        )
    about = {
        "run": str(run.folder.absolute()),
        "recipe": recipe.word,
        "model": answers.model,
        "data": os.path.abspath(data),
        "store": store.fingerprint,
        "rows": len(answers),
        "rows_learnt_from": learnt,
        "counts": {what: count for what, count in store.counts.items() if count},
        "drift": moved,
    }
    return answers, about


def in_units(config: Any, units: Sequence[str]) -> Any:
    """Return the configuration for new data that come in units of their own."""
    if not units:
        return config
    held = {field.name for field in dataclasses.fields(config.data)}
    if "units" not in held:
        raise ConfigError(
            f"--units {' '.join(units)}: this recipe converts no units. Convert the data yourself."
        )
    kept = [wish for wish in config.data.units if wish.split("=")[0] not in {u.split("=")[0] for u in units}]
    return dataclasses.replace(config, data=dataclasses.replace(config.data, units=(*kept, *units)))


def beside(out: Path) -> Path:
    """Return the file that says what a file of predictions was made from."""
    return out.with_name(out.name + ".json")


def _learnt(run: Run, answers: predictions.Predictions) -> int:
    """Count the rows whose id or subject the run, or a run inside it, trained on or chose its epoch by."""
    known: set[str] = set()
    for _, each in run.family():
        if parts := each.kept(each.splits_file):
            known.update(str(name) for part in ("train", "valid") for name in parts.get(part, ()))
    return sum(row in known or who in known for row, who in zip(answers.ids, answers.subjects, strict=True))


def _compare(words: Sequence[str]) -> None:
    options = flags.parse(
        Several, words, "homeostat compare", "Put runs side by side, paired on the same rows."
    )
    if len(options.runs) < 2:
        raise RunError("Name at least two runs: homeostat compare RUN RUN ...")
    folders = [open_run(folder).folder for folder in options.runs]
    compared = contest(by_method(folders), score=options.score, split=options.split)
    if options.json:
        console.emit({"comparisons": [pair.as_dict() for pair in compared]})
        return
    if options.split is None:
        console.say(f"Compared on {compared[0].split}, the best split that all of these runs have predicted.")
    rows = [
        (
            f"{pair.a} - {pair.b}",
            " ".join(part for part in (pair.score, pair.target) if part),
            pair.split,
            f"{console.number(pair.value_a)} - {console.number(pair.value_b)}",
            console.number(pair.difference),
            f"{console.number(pair.low)} to {console.number(pair.high)}",
            console.number(pair.p if pair.holm is None else pair.holm),
            str(pair.subjects),
        )
        for pair in compared
    ]
    console.table(
        ("runs", "score", "split", "values", "difference", "interval", "p (Holm)", "subjects"), rows
    )
    for note in dict.fromkeys(pair.note for pair in compared if pair.note):
        console.say(f"Note: {note}.")


def _report(words: Sequence[str]) -> None:
    report(open_run(flags.parse(One, words, "homeostat report", "Write the report of a run.").run))


def report(run: Run) -> None:
    """Write report.html from the files of a run."""
    from homeostat.report import page  # loads every figure, which nothing else here needs

    page.write(run.folder)
    console.say(f"Wrote {run.report_file}")


def _export(words: Sequence[str]) -> None:
    options = flags.parse(
        One, words, "homeostat export", "Write the best weights as safetensors, with their config."
    )
    export(open_run(options.run))


def export(run: Run) -> None:
    """Write the best weights of a run and of those inside it."""
    from homeostat.engine.export import export as write  # loads torch, which nothing else here needs

    for path in write(run):
        console.say(f"Wrote {path}")
