"""The faults of the five training guides, and what finds each: one line per fault, numbered as in their study.

`planted` names systems of laws.py, courses.py and recipes.py (or `example of GUARD`), which guards and audits must
name. A fault that no look at a model, its data or its run could show is `prevented` instead: by the test that is named.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Named:
    """A fault that a guide has."""

    guide: str
    number: str
    """`fault 3`: of the list of what went wrong. `rule 3`: a symptom that the guide itself reports."""
    what: str
    planted: tuple[str, ...] = ()
    prevented: str = ""
    """A test file, from tests/ on."""
    apart: str = ""
    """Why nothing looks for it."""


def _table(guide: str, *rows: tuple[str, str, tuple[str, ...] | str]) -> tuple[Named, ...]:
    """Rows of (number, what, names of planted systems), or with a test file, or a sentence, in the last place."""

    def named(number: str, what: str, by: tuple[str, ...] | str) -> Named:
        if not isinstance(by, str):
            return Named(guide=guide, number=number, what=what, planted=by)
        kind = "prevented" if by.endswith(".py") else "apart"
        return Named(guide=guide, number=number, what=what, **{kind: by})

    return tuple(named(*row) for row in rows)


ICU = _table(
    "icu",
    ("fault 1", "padded sequences are flipped whole", ("padding flip", "icu: places counted in padding")),
    (
        "fault 2",
        "times and gaps are no input",
        ("times of irregular samples unused", "icu: times thrown away"),
    ),
    (
        "fault 3",
        "rtol 1e-7 in fp32 over 48 raw hours",
        ("rtol at machine precision", "icu: torchdiffeq's tolerances over 48 raw hours"),
    ),
    ("fault 4", "a fixed step of all 48 hours", ("fixed step over all 48 hours",)),
    (
        "fault 5",
        "rivals trained on the test stays",
        ("icu: patient in train and valid",),
    ),
    ("fault 6", "median and scale of all stays", ("normaliser on all data", "icu: medians of all stays")),
    ("fault 7", "differences called significant without a test", "evaluate/test_compare.py"),
    (
        "fault 8",
        "training loss not comparable with validation loss",
        "each term and score is journaled by its own name; a reader compares like with like",
    ),
    ("fault 9", "resume without schedule, random state and patience", "resume/test_killed.py"),
    ("fault 10", "static features unused", ("static features unused", "icu: descriptors not shown")),
    ("fault 11", "row loops in Python, pickles", "data/test_store.py"),
    ("rule 1", "the process dies with its session", ("process killed by a session limit",)),
    ("rule 2", "only the best weights are saved", "resume/test_killed.py"),
    (
        "rule 3",
        "half precision in the solver",
        ("half precision in the solver", "battery: half precision in the solver", "solver in half precision"),
    ),
    ("rule 4", "58 seconds a batch with workers", ("example of pace",)),
    ("rule 5", "small batches are slow", "a choice of the size, which the recipe states; no fault of a run"),
    ("rule 6", "half of the device idles", ("example of stalled",)),
    ("rule 7", "torch built for the CPU", "cli/test_doctor.py"),
    ("rule 8", "the wrong data set is fetched", "recipes/icu/test_challenge.py"),
    ("rule 9", "validation falls while training improves", ("learnt by heart",)),
    ("rule 10", "a class weight that hurts", ("everybody called positive",)),
)
ECG = _table(
    "ecg",
    (
        "fault 1",
        "an ablation without views",
        (
            "ablation without views",
            "contrastive term identically zero",
            "contrast without views",
            "icu: reconstruction that is zero",
        ),
    ),
    ("fault 2", "one beat for a strip of ten", ("output a thousand times too small",)),
    (
        "fault 3",
        "a flat constraint that pays to close gates",
        "no model here has a constraint or a gate",
    ),
    (
        "fault 4",
        "PR of at least 400 ms",
        "no model here has a bound",
    ),
    ("fault 5", "three pools that start and stay the same", "no model here learns embeddings by contrast"),
    (
        "fault 6",
        "no leakage, by construction",
        "a claim about a figure that is zero by construction; nothing looks for it",
    ),
    ("fault 7", "z-score per record takes the voltage away", "no scaler here is fitted per record"),
    (
        "fault 8",
        "early stop on the test set",
        ("early stop on the test set", "probe scored on test while training"),
    ),
    ("fault 9", "a baseline with a schedule of its own", ("baseline with a schedule of its own",)),
    (
        "fault 10",
        "the last state is scored, not the best; a shallow best copy",
        (
            "best state aliases live weights",
            "cell: shallow copy of the best state",
            "icu: shallow copy of the best state",
        ),
    ),
    ("fault 11", "augmentation that hardly changes anything", ("augmentation that does nothing",)),
    ("rule 1", "reconstruction stuck at 1.0", ("output a thousand times too small",)),
    ("rule 2", "gates collapse", "no model here has a gate"),
    ("rule 3", "minus infinity times zero", ("minus infinity times zero",)),
    ("rule 4", "validation diverges", ("learnt by heart",)),
    ("rule 5", "memory is exhausted", "engine/test_resources.py"),
    ("rule 6", "the loader is slow", ("example of stalled",)),
    ("rule 7", "a dependency is missing", "an import that fails says so itself"),
    ("rule 8", "bad reconstruction", ("output a thousand times too small",)),
    ("rule 9", "no visible progress", "test_console.py"),
)
BATTERY = _table(
    "battery",
    (
        "fault 1",
        "scaler on all cells; validation is the test",
        (
            "battery: scaler on all cells",
            "validation is the test set",
            "battery: chosen on the cells that are reported",
        ),
    ),
    ("fault 2", "the first step alone is read", ("battery: the first step alone is read",)),
    (
        "fault 3",
        "raw days, one time grid, padding that counts",
        (
            "raw days into tanh",
            "battery: raw units into tanh",
            "saturated by raw units",
            "one time grid for the whole batch",
            "battery: one time grid for the batch",
            "padding counted in the loss",
            "battery: filler counted in the loss",
        ),
    ),
    ("fault 4", "units guessed per cell", ("units guessed per cell", "battery: units guessed per cell")),
    (
        "fault 5",
        "targets of another cell",
        (
            "targets of another cell (copies)",
            "battery: targets and data of another cell",
            "labels of other samples",
        ),
    ),
    ("fault 6", "a 2-D batch taken for one sequence", ("2-D batch taken for one sequence",)),
    ("fault 7", "the mean of nothing", ("mean over nothing",)),
    ("fault 8", "fp16 called bf16, seeds and switches unread", ("switch that nothing reads",)),
    ("fault 9", "a cache without the content in its key", "data/test_store.py"),
    (
        "fault 10",
        "tests that nobody runs; the minimum over epochs and cells",
        ("battery: chosen on the cells that are reported",),
    ),
    ("rule 1", "tolerances of a fixed-step method", ("tolerances of a fixed-step method",)),
    ("rule 2", "memory is exhausted", "engine/test_resources.py"),
    (
        "rule 3",
        "the loss is no number",
        (
            "one target that is no number",
            "battery: a target from another world",
            "icu: a stay that is no number",
        ),
    ),
    ("rule 4", "poor accuracy on few cells", ("learnt by heart",)),
    ("rule 5", "stiffness creeps up", ("field becomes stiff",)),
    ("rule 6", "solvers ranked on two cells", "evaluate/test_compare.py"),
    ("rule 7", "the best of a grid as the score", ("dozens of decisions on the test set",)),
    ("rule 8", "a stale cache", "data/test_store.py"),
    ("rule 9", "an input that is the target in disguise", "data/test_disguise.py"),
)
CHEST = _table(
    "chest",
    (
        "fault 1",
        "masked entries count as ln 2",
        ("mask as loss", "mask ignored", "battery: mask as factor of the outputs", "loss of masked entries"),
    ),
    ("fault 2", "blank read as unknown", ("blank labels read as unknown", "icu: survivors read as unknown")),
    ("fault 3", "one weight for all classes", "no loss here weights several classes"),
    ("fault 4", "frozen members drift", ("frozen member drifts", "frozen member with dropout")),
    ("fault 5", "a stacker on in-sample outputs", ("stacker on in-sample outputs",)),
    (
        "fault 6",
        "everything changed at once; sampler and focal loss",
        ("ablation without views", "sampler and positive weight"),
    ),
    (
        "fault 7",
        "chosen and reported on the same images; 1 to 8 positives",
        ("validation is the test set", "classes with 3 positives", "validation with 3 positives"),
    ),
    ("fault 8", "split by image", ("patient in two splits",)),
    ("fault 9", "dropped micro-batches", "engine/test_fit.py"),
    (
        "fault 10",
        "threshold and temperature of the evaluated data",
        ("threshold fitted on test", "temperature of unknown origin", "icu: threshold fitted on test"),
    ),
    ("fault 11", "pictures of another layer", "no such picture is drawn here"),
    ("fault 12", "a gigabyte per epoch, without end", ("example of disk",)),
    ("rule 1", "ensemble below its members: five epochs", ("second level of five epochs",)),
    ("rule 2", "very slow", ("example of pace",)),
    ("rule 3", "memory is exhausted", ("example of memory",)),
    ("rule 4", "validation does not improve", ("learning rate sixty times too large",)),
    ("rule 5", "stops too early", ("second level of five epochs",)),
    ("rule 6", "crash of workers on Windows", "data/test_batches.py"),
    ("rule 7", "over-confident outputs", "evaluate/test_calibration.py"),
    ("rule 8", "a transformer without warm-up", ("exploding recurrence",)),
    ("rule 9", "the last epoch is not the best", ("learnt by heart",)),
    ("rule 10", "noise of small batches", "engine/test_fit.py"),
    ("rule 11", "the loss stays at 0.63", ("loss of masked entries",)),
    ("rule 12", "stale checkpoints", "engine/test_checkpoint.py"),
    ("rule 13", "an evaluation in train mode", ("evaluation that trains",)),
)
CELL = _table(
    "cell",
    (
        "fault 1",
        "dozens of decisions on the test donor; a filter and a threshold that saw it",
        (
            "dozens of decisions on the test set",
            "cell: filter fitted on all donors",
            "cell: donor in train and test",
        ),
    ),
    (
        "fault 2",
        "F1 at one half",
        ("selection by F1 at 0.5", "cell: chosen by F1 at one half", "F1 below all-positive guessing"),
    ),
    (
        "fault 3",
        "a confound that the data contradict",
        "a claim of a document against its own data; nothing looks for it",
    ),
    (
        "fault 4",
        "Poisson noise off by a thousand",
        ("Poisson noise off by a thousand on grey values", "cell: Poisson noise off by a thousand"),
    ),
    ("fault 5", "mixup of the mask", ("mixup of the mask",)),
    ("rule 1", "Conv3d in fp16", ("fp16 Conv3d that overflows", "cell: a volume that is no number")),
    (
        "rule 2",
        "gradient norm above 30",
        ("cell: learning rate a thousand times too large", "learning rate a thousand times too large"),
    ),
    (
        "rule 3",
        "Kaiming on the last layer: start at 3, not 0.69",
        ("last layer initialised by Kaiming", "cell: start far from the prior"),
    ),
    ("rule 4", "NaN in a cache", ("infinite value in the inputs",)),
    (
        "rule 5",
        "dropout of the blocks removed",
        "a choice that only several seeds can judge; no fault of a run",
    ),
    (
        "rule 6",
        "recall 99 %, precision as the prevalence",
        ("everybody called positive", "cell: everybody called active"),
    ),
    ("rule 7", "no gain for 20 epochs", ("no gain for twenty evaluations",)),
    ("rule 8", "a sampler and a weight", ("cell: sampler and positive weight",)),
)
GUIDES: tuple[Named, ...] = (*ICU, *ECG, *BATTERY, *CHEST, *CELL)
