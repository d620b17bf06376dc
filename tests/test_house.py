"""The code keeps its own rules. What ruff, mypy and import-linter can state is stated in pyproject.toml."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "homeostat"

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
# What is longer, and why that is right. "engine/fit.py" for a file, "engine/fit.py::fit" for a function.
LONGER: dict[str, str] = {}

# Packages and modules whose prose states and whose names are nouns, with their tests and benchmarks. The list only
# grows; when it holds everything in src/homeostat, it goes.
PLAIN = (
    *(
        "__init__",
        "__main__",
        "errors",
        "files",
        "config",
        "console",
        "run",
        "ode",
        "data",
        "evaluate",
        "adapters",
        "report",
    ),
    *("engine", "task", "guards", "audits", "planted", "resume", "faults"),
    *("plugin", "methods", "recipes", "cli", "surface", "patience", "rehearsal", "curve"),
)
RIDDLES = ("Of ", "What ")
NOT_NOUNS = {"told", "made", "said", "asked"}

# A function without a home is a missing noun, and these names are where such functions go to live.
NAMELESS = re.compile(r"^_?(utils?|helpers?|common|misc|core|base_trainer|.*manager|.*handler)$")

# What a layer may import from outside the standard library. import-linter can forbid a module; only an
# allow-list can say "nothing but". Layers that are not named here may use every declared dependency.
ALLOWED_IMPORTS = {
    "errors": set(),
    "ode": {"torch"},
    # run: which file is which, so that no name of a run's files is written twice.
    "evaluate": {
        "numpy",
        "scipy",
        "sklearn",
        "polars",
        "homeostat.errors",
        "homeostat.files",
        "homeostat.run",
    },
}

# Foreign classes that are made to be subclassed. Our own are only when their name begins with Abstract.
OPEN_CLASSES = {
    "Protocol": "a type, not behaviour",
    "Enum": "a closed set of values",
    "StrEnum": "a closed set of values",
    "IntEnum": "a closed set of values",
    "NamedTuple": "a value",
    "TypedDict": "a value",
    "ABC": "marks an abstract class",
    "Generic": "a type parameter",
    "Module": "how torch builds networks",
    "Function": "how torch defines a gradient",
    "Callback": "how Lightning is extended",
    "TrainerCallback": "how the Hugging Face Trainer is extended",
    "Structure": "how ctypes lays out memory",
    "TorchFunctionMode": "how torch shows the calls that are made to it",
    "BaseException": "how Python raises past `except Exception`",
    "Exception": "how Python raises",
    "RuntimeError": "how Python raises",
    "ValueError": "how Python raises",
}

# What some distributions are called when they are imported; the others are imported under their own name.
IMPORT_NAMES = {
    "scikit-learn": "sklearn",
    "xgboost-cpu": "xgboost",
    "pytest-xdist": "xdist",
    "import-linter": "importlinter",
}

# Declared without an import of ours, and why that is right.
NOT_IMPORTED = {
    "tensorboard": "torch.utils.tensorboard, which engine/tensorboard.py imports, needs it",
    "ruff": "a command of `make check`",
    "mypy": "a command of `make check`",
    "import-linter": "a command of `make check`",
    "pytest-xdist": "pytest loads it for -n",
}

# Pinned without being declared, and why that is right.
PINNED_ONLY = {"accelerate": "transformers[torch] brings it, and the test of the adapter needs it"}


@dataclass(frozen=True)
class Source:
    """One parsed file of the package."""

    name: str
    text: str
    tree: ast.Module

    def at(self, node: ast.AST) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)}"

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))


def _read(path: Path, root: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path.relative_to(root).as_posix(), text, ast.parse(text))


FILES = [_read(path, SOURCE) for path in sorted(SOURCE.rglob("*.py"))]
TESTS = [
    _read(path, ROOT) for folder in ("tests", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))
]


def test_every_file_has_a_docstring() -> None:
    silent = [
        file.name for file in [*FILES, *TESTS] if file.text.strip() and not ast.get_docstring(file.tree)
    ]
    assert not silent, f"Begin each with a docstring of one to three sentences: {silent}"


def _plain() -> list[Source]:
    """Files of PLAIN: data stands for src/homeostat/data/, tests/data/, tests/test_data.py and benchmarks/data.py."""
    roots = [root for name in PLAIN for root in (name, f"tests/{name}", f"benchmarks/{name}", _test(name))]
    return [
        file
        for file in [*FILES, *TESTS]
        if any(file.name == f"{root}.py" or file.name.startswith(f"{root}/") for root in roots)
    ]


def _test(name: str) -> str:
    """Name the tests of a module: tests/cli/test_follow of cli/follow."""
    path = Path("tests") / name
    return path.with_name(f"test_{path.name}").as_posix()


def test_docstrings_state() -> None:
    """A docstring has a subject, a verb and an object; it asks nothing and is no riddle."""
    wrong = []
    for file in _plain():
        for node in file.nodes(ast.Expr):
            value = node.value if isinstance(node, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                text = value.value.strip()
                if "?" in text or text.startswith(RIDDLES):
                    wrong.append(f"{file.at(node)} {text.splitlines()[0]}")
    assert not wrong, "Write what it does or holds, as a sentence:\n" + "\n".join(wrong)


def test_names_are_nouns() -> None:
    """A name says what it holds (scores, sentence), not how it came; no underscore at its end dodges a clash."""
    wrong = [
        f"{file.at(node)} {name}"
        for file in _plain()
        for node, name in _bound(file)
        if name.strip("_").lower() in NOT_NOUNS or re.fullmatch(r"[a-zA-Z]\w*[^\W_]_", name)
    ]
    assert not wrong, "Name each after what it holds:\n" + "\n".join(wrong)


def _bound(file: Source) -> Iterator[tuple[ast.AST, str]]:
    """Names that a file defines: variables, arguments, attributes, functions and classes."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node, node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            yield node, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node, node.name


def test_every_module_is_named_after_an_idea() -> None:
    nameless = [
        file.name for file in FILES if any(map(NAMELESS.match, Path(file.name).with_suffix("").parts))
    ]
    assert not nameless, f"Name each after the noun that its functions miss: {nameless}"


def test_files_and_functions_hold_one_idea() -> None:
    lines = {file.name: file.text.count("\n") for file in FILES}
    too_long = {name: count for name, count in lines.items() if count > MAX_FILE_LINES}
    for file in FILES:
        for node in file.nodes(ast.FunctionDef, ast.AsyncFunctionDef):
            assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            count = (node.end_lineno or node.lineno) - node.lineno + 1
            if count > MAX_FUNCTION_LINES:
                too_long[f"{file.name}::{node.name}"] = count
    unexplained = {name: count for name, count in too_long.items() if name not in LONGER}
    assert not unexplained, f"Cut at the second idea, or give a reason in LONGER: {unexplained}"
    outdated = sorted(LONGER.keys() - too_long.keys())
    assert not outdated, f"No longer too long, remove from LONGER: {outdated}"


def test_a_class_is_abstract_or_final() -> None:
    ours = {
        node.name: file
        for file in FILES
        for node in file.nodes(ast.ClassDef)
        if isinstance(node, ast.ClassDef)
    }
    exceptions = _exceptions(ours)
    wrong = []
    for file in FILES:
        for node in file.nodes(ast.ClassDef):
            assert isinstance(node, ast.ClassDef)
            for base in map(_base_name, node.bases):
                allowed = base in OPEN_CLASSES or base in exceptions or base.startswith("Abstract")
                if not allowed:
                    wrong.append(f"{file.at(node)} {node.name}({base})")
    assert not wrong, f"Wrap to change behaviour; subclass only what is abstract: {wrong}"


def _exceptions(ours: dict[str, Source]) -> set[str]:
    """Names of our exception classes: those of errors.py, and those that end in Error."""
    return {name for name, file in ours.items() if file.name == "errors.py" or name.endswith("Error")}


def _base_name(base: ast.expr) -> str:
    if isinstance(base, ast.Subscript):
        return _base_name(base.value)
    return base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", ast.unparse(base))


def test_abstract_classes_have_something_left_to_define() -> None:
    complete = []
    for file in FILES:
        for node in file.nodes(ast.ClassDef):
            assert isinstance(node, ast.ClassDef)
            if node.name.startswith("Abstract") and "abstractmethod" not in ast.unparse(node):
                complete.append(f"{file.at(node)} {node.name}")
    assert not complete, f"Nothing in these is abstract: {complete}"


def test_layers_import_only_what_they_may() -> None:
    foreign = []
    for file in FILES:
        allowed = ALLOWED_IMPORTS.get(Path(file.name).parts[0].removesuffix(".py"))
        if allowed is None:
            continue
        layer = f"homeostat.{Path(file.name).parts[0].removesuffix('.py')}"
        for module, where in _imports(file):
            inside = module == layer or module.startswith(f"{layer}.")
            known = module.split(".")[0] in sys.stdlib_module_names
            if not (inside or known or any(module == a or module.startswith(f"{a}.") for a in allowed)):
                foreign.append(f"{where} {module}")
    assert not foreign, f"Not allowed in this layer (see ALLOWED_IMPORTS): {foreign}"


def _declared() -> dict[str, set[str]]:
    """Names of the distributions in pyproject.toml: those of the package, and those of each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: {re.split(r"[^\w-]", line)[0].lower() for line in lines} for extra, lines in lists.items()}


def _libraries(files: list[Source]) -> dict[str, str]:
    """Libraries of others that these files import, each with one of the places."""
    imports = [(module.split(".")[0], where) for file in files for module, where in _imports(file)]
    ours = {"homeostat", *sys.stdlib_module_names, *(path.stem for path in (ROOT / "tests").iterdir())}
    return {top: where for top, where in imports if top not in ours}


def test_every_library_that_is_imported_is_declared() -> None:
    """A library that is installed only because another needs it may be gone tomorrow."""
    declared = {
        extra: {IMPORT_NAMES.get(name, name) for name in names} for extra, names in _declared().items()
    }
    in_tests = set.union(*declared.values())
    in_source = declared[""] | _extras(declared)
    undeclared = {f"{where} {top}" for top, where in _libraries(FILES).items() if top not in in_source}
    undeclared |= {f"{where} {top}" for top, where in _libraries(TESTS).items() if top not in in_tests}
    assert not undeclared, f"Give each a line in pyproject.toml, with its reason: {sorted(undeclared)}"


def _extras(declared: dict[str, set[str]]) -> set[str]:
    """Name the libraries that a user may install beside the package: every extra but the developers' tools."""
    return {name for extra in declared.keys() - {"", "dev", "bench"} for name in declared[extra]}


def test_every_library_that_is_declared_is_imported() -> None:
    """A dependency goes when its last reader goes; one that is planned is declared by the change that imports it."""
    declared = _declared()
    for_tools = declared["dev"] | declared["bench"]
    read = {"": _libraries(FILES), "tools": _libraries([*FILES, *TESTS])}
    needless = {
        name
        for names, kind in ((declared[""] | _extras(declared), ""), (for_tools, "tools"))
        for name in names
        if IMPORT_NAMES.get(name, name) not in read[kind] and name not in NOT_IMPORTED
    }
    assert not needless, f"Nothing imports these: remove them, or give the reason in NOT_IMPORTED: {needless}"
    outdated = NOT_IMPORTED.keys() - set.union(*declared.values())
    assert not outdated, f"No longer declared, remove from NOT_IMPORTED: {outdated}"


def test_every_library_that_is_declared_is_pinned_and_no_other() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower() for line in lines if "==" in line and not line.startswith("#")}
    declared = set.union(*_declared().values())
    differ = sorted(pinned - PINNED_ONLY.keys() ^ declared)
    assert not differ, f"Declared but not pinned, or pinned but not declared: {differ}"


def _imports(file: Source) -> Iterator[tuple[str, str]]:
    for node in file.nodes(ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            yield from ((alias.name, file.at(node)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "homeostat":
            yield from ((f"homeostat.{alias.name}", file.at(node)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.at(node)}: import by the full name"
            yield str(node.module), file.at(node)


def test_no_module_needs_itself() -> None:
    """A circle of imports, also one that only types close, is one idea in several files, or two that are tangled."""
    names = {_module(file): file for file in FILES}
    below: dict[str, set[str]] = {}
    for name, file in names.items():
        wanted = {
            f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in names else str(node.module)
            for node in file.nodes(ast.ImportFrom)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        below[name] = wanted & names.keys()
    while leaves := {name for name, wanted in below.items() if not wanted & below.keys()}:
        below = {name: wanted for name, wanted in below.items() if name not in leaves}
    assert not below, f"In a circle, or above one: {sorted(below)}"


def _module(file: Source) -> str:
    return f"homeostat.{file.name.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")


def test_nothing_is_probed_and_nothing_unsafe_is_loaded() -> None:
    wrong = []
    for file in FILES:
        for node in file.nodes(ast.Call):
            assert isinstance(node, ast.Call)
            name, keywords = (
                ast.unparse(node.func),
                {word.arg: ast.unparse(word.value) for word in node.keywords},
            )
            if name == "hasattr":
                wrong.append(f"{file.at(node)} hasattr: say in the type what the value has")
            if name == "torch.load" and keywords.get("weights_only") != "True":
                wrong.append(f"{file.at(node)} torch.load without weights_only=True runs code from the file")
            if keywords.get("allow_pickle") == "True":
                wrong.append(f"{file.at(node)} allow_pickle=True runs code from the file")
    assert not wrong, "\n".join(wrong)


def test_every_suppressed_check_gives_its_reason() -> None:
    codes = r"type:\s*ignore(?:\[[^\]]*\])?|noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?"
    suppression = re.compile(rf"#\s*(?:{codes})(?P<rest>.*)")
    bare = []
    for file in FILES:
        for number, line in enumerate(file.text.splitlines(), start=1):
            found = suppression.search(line)
            if found and not re.search(r"\w{3}", found["rest"]):
                bare.append(f"{file.name}:{number}")
    assert not bare, (
        f"Add the reason, as in `# noqa: BLE001  # the user's own function may raise anything`: {bare}"
    )


def test_every_todo_has_a_number() -> None:
    loose = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
    found = [file.name for file in FILES if loose.search(file.text)]
    assert not found, f"Write TODO(#12), or do it: {found}"


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    machine = re.compile(r"(?<![\w.~}/])/(?:home|root|work|Users|mnt|opt)/|(?<![\w.])[A-Z]:\\\\?Users")
    pages = [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    folders = [ROOT / name for name in ("src", "tests", "benchmarks", "docs", "log")]
    pages += [page for folder in folders for kind in ("*.py", "*.md") for page in folder.rglob(kind)]
    places = [
        f"{page.relative_to(ROOT)}:{number}"
        for page in pages
        if page != Path(__file__).resolve()
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
        if machine.search(line)
    ]
    assert not places, f"Paths of one machine: {places}"


def test_the_tree_in_the_readme_is_the_tree() -> None:
    """Every path of the annotated tree exists, and every package and module of the first level is in it."""
    block = (ROOT / "README.md").read_text(encoding="utf-8").split("## Where things are")[1].split("```")[1]
    listed = re.findall(r"^(?:  )*([\w./-]+(?:/|\.\w+))(?=\s|$)", block, flags=re.MULTILINE)
    roots = [ROOT, SOURCE, SOURCE / "recipes"]
    absent = [name for name in listed if not any((root / name).exists() for root in roots)]
    assert not absent, f"In the README's tree but not in the repository: {absent}"
    first = {Path(file.name).parts[0] for file in FILES} - {"__init__.py", "__main__.py"}
    unlisted = sorted(first - {name.rstrip("/") for name in listed})
    assert not unlisted, f"In src/homeostat but not in the README's tree: {unlisted}"


IMPORT_AND_COMPARE = """
import contextlib, importlib, json, logging, os, random, sys, warnings
import numpy, torch
foreign, ours, optional = json.load(sys.stdin)
for name in foreign:  # what other libraries do when they are imported is not ours to judge
    parent, _, last = name.rpartition(".")
    with contextlib.suppress(ModuleNotFoundError, AttributeError):
        if parent:  # some libraries load a module when its name is first asked for
            getattr(importlib.import_module(parent), last)
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(name)

def process():
    return {
        "random": random.getstate(), "numpy.random": repr(numpy.random.get_state()),
        "torch random": torch.get_rng_state().tolist(), "default dtype": str(torch.get_default_dtype()),
        "threads": torch.get_num_threads(), "environment": dict(os.environ),
        "warning filters": [str(entry) for entry in warnings.filters], "working directory": os.getcwd(),
        "sys.path": list(sys.path), "logging": [str(h) for h in logging.getLogger().handlers],
        "numpy errors": numpy.geterr(), "hook": repr(sys.excepthook), "gradients": torch.is_grad_enabled(),
    }

for name in ours:
    before = process()
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] not in optional:
            raise
    after = process()
    changed = [key for key in before if before[key] != after[key]]
    if changed:
        print(name, "changes", ", ".join(changed))
"""


def _foreign(file: Source) -> Iterator[str]:
    """Modules of other libraries, with the sub-modules that `from scipy import stats` may mean."""
    for node in file.nodes(ast.Import, ast.ImportFrom):
        assert isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names:
            parent = node.module if isinstance(node, ast.ImportFrom) else None
            name = f"{parent}.{alias.name}" if parent else alias.name
            if not name.startswith("homeostat"):
                yield from (name, *([parent] if parent else []))


def test_importing_changes_nothing() -> None:
    """Random state, default dtype, warnings, environment and the rest are the same before and after."""
    names = [
        file.name for file in FILES if not file.name.endswith("__main__.py")
    ]  # it runs when it is imported
    ours = ["homeostat." + name.removesuffix(".py").replace("/", ".") for name in names]
    ours = [name.removesuffix(".__init__") for name in ours]
    foreign = sorted({name for file in FILES for name in _foreign(file)})
    question = json.dumps([foreign, ours, sorted(_extras(_declared()))])
    answer = subprocess.run(
        [sys.executable, "-c", IMPORT_AND_COMPARE],
        input=question,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert not answer.stdout, answer.stdout


@pytest.mark.parametrize("name", ["homeostat.evaluate", "homeostat.report"])
def test_reading_numbers_needs_no_torch(name: str) -> None:
    """evaluate and report start fast and run where no deep-learning library is installed."""
    code = f"import sys, {name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
