"""Look for what is wrong with a recipe on its data, with a run, or with this machine; tell the gravest first."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from homeostat import console
from homeostat.audits import AUDITS, own
from homeostat.audits.base import Finding
from homeostat.audits.exam import Exam, examine, together
from homeostat.audits.folder import examine_run
from homeostat.audits.machine import describe, examine_machine, read
from homeostat.cli import flags
from homeostat.cli.origin import recipe_of, warn_of_changes
from homeostat.cli.train import begin, execute
from homeostat.data import prepared
from homeostat.errors import Halted, HomeostatError, Interrupted
from homeostat.plugin.address import parse
from homeostat.recipes import RECIPES, find, published
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run, open_run, sealed


@dataclass(frozen=True, kw_only=True)
class Options:
    """The subject of an examination, and the form of the answer."""

    data: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Raw data of the recipe; left out, its simulated cohort. Of a run: new data, compared with those of training."""
    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Configuration of the recipe that is examined; left out, smoke on simulated data and the default on --data."""
    stores: Path = Path("stores")
    """Folder for prepared data."""
    seconds: float = 10.0
    """Longest rehearsal: every fit of the recipe is begun, and one epoch of it trained, within this time."""
    guard: tuple[str, ...] = ()
    """Address of a guard of your own that watches the rehearsal, too. May be given several times."""
    audit: tuple[str, ...] = ()
    """Address of an audit of your own that is tried, too, such as ./my_audit.py:audit. May be given several times."""
    parent: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """The run that the examined run is an ablation of: they may differ by one setting."""
    json: bool = False
    """Print JSON."""


def run(command: str, words: Sequence[str]) -> None:
    """Examine a recipe, a run, or the machine. A fatal finding ends with exit code 4."""
    what = words[0] if words and not words[0].startswith("-") else ""
    summary = "Try the laws of sound training on a recipe, a run, or this machine."
    options = flags.parse(Options, words[1:] if what else words, "homeostat doctor", summary)
    if not what:
        machine = read(Path("runs"))
        exam = examine_machine(machine)
        _show(exam, f"this machine: {describe(machine)}", options.json)
    elif is_recipe(what):
        exam = examine_recipe(find(what), options)
        _show(exam, f"recipe {what}", options.json)
    else:
        examined = open_run(Path(what))
        exam = examine_folder(examined, options)
        _show(exam, f"run {examined.folder}", options.json)
        if not options.json and (counts := prepared.counts(examined)):
            console.say("\nWhen its data was prepared:")
            console.say("\n".join(f"  {sentence}" for sentence in counts))
    fatal = [finding.audit for finding in exam.findings if finding.severity == "fatal"]
    if fatal:
        raise Halted(
            f"{len(fatal)} fatal: {', '.join(fatal)}. What is computed like this is not to be believed."
        )


def is_recipe(word: str) -> bool:
    """Say whether it names a recipe rather than the folder of a run."""
    has_name = word.endswith(".py") or ":" in word
    return word in RECIPES or (not Path(word).exists() and (has_name or word in published()))


def _audits_of(run: Run, options: Options) -> list[str]:
    """Addresses of the run's own audits, and of those that are asked for now."""
    config = run.config().get("config", {})
    kept = [
        address for part in config.values() if isinstance(part, dict) for address in part.get("audit", ())
    ]
    return list(dict.fromkeys([*kept, *(str(parse(word)) for word in options.audit)]))


def examine_folder(run: Run, options: Options) -> Exam:
    """Try every law on the files of a run, and keep in it what was found, for its report."""
    warn_of_changes(run)
    parent = None if options.parent is None else open_run(options.parent)
    new = None
    if options.data is not None:
        recipe, config = recipe_of(run)
        new = (recipe.new_blueprint or recipe.blueprint)(config, options.data).build(options.stores)
    exam = examine_run(run, parent, (*AUDITS, *own(_audits_of(run, options))), new)
    _keep(exam, run.folder)
    return exam


def examine_recipe(recipe: Recipe[Any], options: Options) -> Exam:
    """Try every law on the recipe's own case; then rehearse: begin every fit in a scratch folder."""
    with tempfile.TemporaryDirectory(prefix="homeostat-doctor-") as scratch:
        folder = Path(scratch)
        data, preset, stores = options.data, options.preset, options.stores
        if data is None:
            data, preset, stores = folder / "data", preset or "smoke", folder / "stores"
            data.mkdir()
            recipe.simulate(data, 0)
        config = recipe.preset(preset)
        wanted = {"audits": True, "guard": options.guard, "audit": options.audit}
        # One epoch shows each law that a start can break; the rest of a training is for guards.
        fit = dataclasses.replace(config.fit, epochs=1, **wanted)
        short = dataclasses.replace(config, fit=fit)
        rehearsal = begin(recipe, short, folder / "rehearsal", data, stores)
        failed: list[Finding] = []
        exams: list[Exam] = []
        silence = io.StringIO()  # what is told is in the journal of the rehearsal
        with contextlib.redirect_stderr(silence), contextlib.redirect_stdout(silence):
            try:
                if recipe.case is not None:
                    store = recipe.prepare(short, data, stores)
                    exams.append(
                        examine(recipe.case(short, rehearsal, store), (*AUDITS, *own(options.audit)))
                    )
                execute(rehearsal, options.seconds)
            except (Interrupted, Halted):
                pass  # the time is over, or a guard has spoken: both are in the journal
            except HomeostatError as error:
                failed.append(_refused(error))
        exam = examine_run(rehearsal)
        # The budget of ten seconds once came out as an alarm of the recipe (log/guards.md).
        kept = tuple(finding for finding in exam.findings if not _is_of_rehearsal(finding))
        rehearsed = dataclasses.replace(exam, findings=kept)
        return together([Exam(findings=tuple(failed), tried=("recipe",), not_tried={}), *exams, rehearsed])


# One epoch is no training: what a rehearsal cannot reach is no finding.
REHEARSED = ("ending", "support", "trivial")


def _is_of_rehearsal(finding: Finding) -> bool:
    """Say whether it speaks of the short time that a rehearsal has."""
    return finding.audit in REHEARSED or (
        finding.audit == "alarms" and finding.evidence["guards"] == "deadline"
    )


def _refused(error: HomeostatError) -> Finding:
    return Finding(
        audit="recipe",
        severity="fatal",
        what=str(error),
        cause="The recipe itself refused to train on these data.",
        advice="Do what the sentence says.",
    )


def _show(exam: Exam, what: str, as_json: bool) -> None:
    if as_json:
        findings = [dataclasses.asdict(finding) for finding in exam.findings]
        audits = {"findings": findings, "tried": list(exam.tried), "not_tried": dict(exam.not_tried)}
        console.say(json.dumps(audits, indent=1, default=str))
        return
    count = len(exam.findings)
    found = "nothing found" if not count else f"{count} finding{'s' if count > 1 else ''}"
    console.say(f"{what[0].upper()}{what[1:]}\n{found}; {len(exam.tried)} laws tried")
    for finding in exam.findings:
        console.say(_text(finding))
    if exam.not_tried:
        console.say("\nNot tried:")
        console.say("\n".join(f"  {name:17} {why}" for name, why in exam.not_tried.items()))


def _keep(exam: Exam, folder: Path) -> None:
    """Leave in the run what was found, for its report."""
    # A run of somebody else may be read-only, and can be examined all the same.
    if os.access(folder, os.W_OK):
        findings = [dataclasses.asdict(finding) for finding in exam.findings]
        sealed.write_json(Run(folder).findings_file, {"tried": list(exam.tried), "findings": findings})


def _text(finding: Finding) -> str:
    evidence = ", ".join(f"{name} {_short(value)}" for name, value in finding.evidence.items())
    lines = [
        f"\n{finding.severity}  {finding.audit}",
        f"  {finding.what}",
        f"  evidence  {evidence}" if evidence else "",
        f"  cause     {finding.cause}",
        f"  do        {finding.advice}",
        f"  run       {finding.command}" if finding.command else "",
    ]
    return "\n".join(line for line in lines if line)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else console.number(value)
