"""The public names of packages, and suggestions for wrong names."""

import sys
from collections.abc import Callable, Iterable

import lazy_loader

SETTINGS = (
    "max-iter epochs epoch n-epochs num-epochs max-epochs iterations iters n-iter num-iter steps max-steps",
    "learning-rate-init learning-rate lr eta step-size rate",
    "hidden-layer-sizes hidden layers hidden-layers hidden-sizes hidden-size layer-sizes units width widths neurons",
    "n-iter-no-change patience early-stopping",
    "weight-decay alpha penalty strength l2 decay regularization regularizer kernel-regularizer",
    "batch-size batch bs",
    "n-estimators ensemble members n-members networks n-networks models",
    "seed random-state random-seed rng",
    "output out o out-file output-file outfile output-path model-file model save save-to to-file destination",
    "out output o folder directory dir",
    "target y label labels target-column label-column class-column response outcome predict t",
    "positive pos-label positive-class positive-label pos",
    "task type problem mode objective",
    "test-size validation-size validation-split val-size test-split split test-fraction holdout",
    "test test-file test-table test-data validation validation-file eval",
    "cv folds fold n-folds k-folds kfold k-fold k n-splits cross-validation cross-validate",
    "refit retrain final",
    "group groups group-by group-column",
    "time time-column timestamp date-column order-by",
    "weight weights sample-weight sample-weights weight-column",
    "class-weight class-weights balanced balance",
    "threshold delta cutoff cut-off decision-threshold",
    "quantile quantiles",
    "loss loss-function criterion",
    "ignore drop exclude skip drop-columns",
    "numbers number numeric numerical",
    "categories category categorical cat",
    "codes code id-columns",
    "dates date datetime",
    "columns schema types dtypes kinds",
    "interval intervals coverage confidence confidence-level level",
    "keep include id id-column keep-columns",
    "chunk chunksize chunk-size batch-size batch",
    "row rows line lines index",
    "background reference baseline",
    "threads n-jobs jobs cores cpus num-threads n-threads",
    "time-limit budget time-budget max-time timeout",
    "seconds timeout time-limit",
    "memory ram mem memory-limit",
    "report html page html-report",
    "to format as",
    "json format output-format as-json",
    "format kind to",
    "force overwrite yes replace f y",
    "quiet silent no-progress verbose v",
    "size parameters n-parameters",
    "table data input file csv path dataset data-file input-file train-data training-data i",
    "model model-file model-path m",
    "help h usage",
    "solver optimizer opt",
    "clip-norm clip clipnorm max-norm max-grad-norm grad-clip gradient-clip-val",
    "schedule scheduler lr-scheduler lr-schedule",
    "validation val val-data validation-data eval-set",
    "validation-score metric metrics scoring score",
    "outputs units out-features features n-outputs width neurons",
    "inputs in-features input-dim input-shape input-size n-inputs",
    "rate p dropout drop",
    "leak alpha negative-slope slope",
    "momentum beta mu",
    "beta1 betas b1",
    "monitor on",
    "min-delta tol tolerance",
)
"""Equivalent options and settings here and in other tools: of each group, the first one that exists is suggested."""
PUBLIC = (
    "Dense Linear DenseGeneral FullyConnected",
    "LayerNorm BatchNorm BatchNorm1d BatchNormalization",
    "Network Sequential Module Model MLP",
    "SiLU Swish",
    "SoftmaxCrossEntropy Softmax CrossEntropyLoss CategoricalCrossentropy SparseCategoricalCrossentropy NLLLoss",
    "BinaryCrossEntropy BCE BCELoss BCEWithLogitsLoss",
    "SquaredError MSE MSELoss MeanSquaredError L2Loss",
    "AbsoluteError MAE L1Loss MeanAbsoluteError",
    "Huber SmoothL1Loss",
    "Glorot Xavier glorot_uniform xavier_uniform",
    "He Kaiming he_normal kaiming_normal",
    "Adaptive ReduceLROnPlateau ReduceOnPlateau",
    "Cosine CosineAnnealingLR CosineDecay cosine_decay_schedule",
    "check_gradients gradcheck check_grads check_grad",
    "compile jit",
    "train fit",
    "train_population vmap",
)
ELSEWHERE = {
    "pass optimizer=Adam(learning_rate=0.001)": "lr learning-rate eta step-size momentum",
    "pass penalty=L2(0.0001) to Network, or optimizer=AdamW(weight_decay=0.01) to train": "weight-decay alpha l2",
    "pass callbacks=[ProgressBar()]": "verbose progress",
    "pass the loss to Network": "loss criterion",
    "add a layer, as in [Dense(3), ReLU(), Dropout(0.5)]": "activation dropout",
}
"""What to do instead of passing a setting to the wrong function, with the names of these settings."""


def attach(module: str, package: str, file: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a module, whose names stand in a .pyi file next to it."""
    load, listed, names = lazy_loader.attach_stub(package, file)

    def load_or_suggest(name: str) -> object:
        if name in names:
            value = vars(sys.modules[module])[name] = load(name)
            if module != package:  # where lazy_loader keeps it, too
                vars(sys.modules[package]).pop(name, None)
            return value
        meant = "" if name.startswith("_") else public_name(name)  # tools look for names with _
        raise AttributeError(f"module {module!r} has no attribute {name!r}{meant and f': did you mean {meant}?'}")

    return load_or_suggest, listed, names


def public_name(guess: str) -> str:
    """Return the public name of vecprop that a guess means, or an empty string."""
    vecprop = sys.modules["vecprop"]
    packages = [*(getattr(vecprop, name) for name in ("pictures", "tables", "blocks", "cluster", "export", "extend"))]
    known = {name: f"{package.__name__}.{name}" for package in [*packages, vecprop] for name in package.__all__}
    return known.get(closest(guess, known, PUBLIC), "")


def closest(guess: str, names: Iterable[str], groups: Iterable[str] = ()) -> str:
    """Return the name that a guess means: an equal name, a synonym, a completion or a similar name; else "".

    Examples
    --------
    >>> closest("Relu", ["ReLU", "ELU"]), closest("lr", ["alpha", "learning_rate"], SETTINGS)
    ('ReLU', 'learning_rate')
    """
    from difflib import get_close_matches

    guess, plain = _plain(guess), {_plain(name): name for name in names}
    found = [guess, *(word for group in map(_words, groups) if guess in group for word in group)]
    found += [name for name in plain if len(guess) > 2 and name.startswith(guess)]
    found += get_close_matches(guess, plain, n=1)
    return next((plain[name] for name in found if name in plain), "")


def suggestion(guess: str, names: Iterable[str]) -> str:
    """Return the end of a sentence that suggests the most similar name, or an empty string.

    Examples
    --------
    >>> suggestion("Age", ["age", "income"]), suggestion("color", ["age"])
    (": did you mean 'age'?", '')
    """
    found = closest(guess, names)
    return f": did you mean {found!r}?" if found else ""


def unknown_keyword(function: str, guess: str, names: Iterable[str]) -> str:
    """Return the message for an unknown keyword argument."""
    found = closest(guess, names, SETTINGS)
    elsewhere = [f"{advice}." for advice, words in ELSEWHERE.items() if _plain(guess) in words.split()]
    advice = f"did you mean {found!r}?" if found else [*elsewhere, f"see help({function})."][0]
    return f"{function}() got an unexpected keyword argument {guess!r}: {advice}"


def wrong_part(what: str, part: object, needed: str) -> str:
    """Return the message for a class, a name or another value where an object such as an optimizer is needed."""
    from inspect import signature

    known = public_name(part) if isinstance(part, str) else ""
    cls = getattr(sys.modules["vecprop"], known.rpartition(".")[2], part)
    if not isinstance(cls, type):
        return f"{what} must be {needed}, got {part!r}."
    has_defaults = all(parameter.default is not parameter.empty for parameter in signature(cls).parameters.values())
    instance = f"{cls.__name__}({'' if has_defaults else '…'})"
    return f"{what} is {part!r}: pass {instance}." if known else f"{what} is a class: pass an instance, {instance}."


def _words(group: str) -> list[str]:
    return list(map(_plain, group.split()))


def _plain(name: str) -> str:
    return name.casefold().strip().replace("_", "-")
