"""Which sources made a record: a hash over the code that decides the numbers of a configuration, and no other."""

import ast
import hashlib
import inspect
import json
import sys
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path
from types import ModuleType

from qsmi_lib import (
    augmentation,
    backbone_networks,
    codes,
    cross_batch,
    features,
    hog,
    paths,
    pooling,
    precision,
    rotation,
    training,
)
from qsmi_lib.config import RunConfig, known
from qsmi_lib.datasets import (
    catalogue,
    digit_pairs,
    digits,
    listed,
    named,
    picture_sets,
    pictures,
    protocols,
    quotas,
    splits,
    subsets,
    tree,
)
from qsmi_lib.methods import METHODS
from qsmi_lib.models import HEADS, NETWORKS, CsqHead, EndToEnd, FashionCNN, HashHead


def source_hash(config: RunConfig) -> str:
    """Hash of the training loop, the data set's loader, the network and the loss of `config`.

    Comments, docstrings and layout are left out; so is the evaluator, for `tables --rescore` repeats its part. A new
    method, data set or network leaves the hashes of the others as they are. `together` is no part: its tests show that
    it gives what the training loop gives, so the sources of a record made by it are the same.
    """
    entry = known("method", METHODS, config.method)
    modules = {training, precision, codes, splits, *_modules_of(named(config.dataset))}
    modules.add(next(own for own in (listed, subsets, protocols) if config.protocol in own.PROTOCOLS))
    modules |= {backbone_networks, features} if config.backbone else set()
    modules |= _with_imports(sys.modules["qsmi_lib.losses.information"])  # the measures of the history
    function, fixed = entry.loss or entry.network, {}
    if isinstance(function, partial):
        function, fixed = function.func, function.keywords
    modules |= _with_imports(sys.modules[function.__module__])
    if entry.network is not None:
        modules |= {hog, rotation}
    network = [HashHead, EndToEnd] if config.backbone else [known("data set", NETWORKS, config.dataset)]
    modules |= {pooling} if FashionCNN in network else set()
    modules |= {augmentation} if config.augmentation != "none" else set()
    modules |= {cross_batch} if config.memory else set()
    network += [CsqHead] if config.head == "csq" else []
    network += [entry.head] if entry.head else []
    widths = getattr(HEADS[config.head], "keywords", {}) if config.backbone else {}
    head = repr((function.__name__, sorted((fixed | widths).items())))
    return hash_of([*sorted(modules, key=lambda module: module.__name__), *network], head)


def equalities_of(profile: str) -> Path:
    """File of what `verification.verify` has shown; trials, see `tuning.trials_of`, share that of their profile."""
    return paths.results(profile.removesuffix("/tuning")) / "equal_sources.json"


def equalities(profile: str) -> dict[str, list[str]]:
    """Hash -> the older ones whose sources gave the same, as `verification.verify` noted under `profile`."""
    path = equalities_of(profile)
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; restore it, or delete it and `tables --verify` again") from error


def is_current(recorded: str | None, today: str, profile: str) -> bool:
    """Whether the sources with the hash `recorded` are today's, or were shown to give the same, if in several steps."""
    groups = [{key, *older} for key, older in equalities(profile).items()]
    same, grown = {today}, True
    while grown:
        joined = same.union(*(group for group in groups if group & same))
        same, grown = joined, len(joined) > len(same)
    return recorded in same


def hash_of(sources: Iterable[ModuleType | type], head: str = "") -> str:
    """Hash of a `head` and of modules and classes without their comments, docstrings and layout."""
    digest = hashlib.sha256(head.encode())
    for source in sources:
        digest.update(_bare(inspect.getsource(source)).encode())
    return digest.hexdigest()[:16]


def _modules_of(data: ModuleType | picture_sets.PictureSet) -> set[ModuleType]:
    """The modules that say which items a data set has, and in which order."""
    if isinstance(data, ModuleType):
        return {data, digits} if data is digit_pairs else {data}
    return {picture_sets, catalogue, pictures, quotas, tree}


def _with_imports(module: ModuleType) -> set[ModuleType]:
    """A module of losses and the modules of losses that it takes functions from."""
    names = {getattr(value, "__module__", None) or "" for value in vars(module).values()}
    others = {sys.modules[name] for name in names if name.startswith("qsmi_lib.losses.")} - {module}
    return {module}.union(*map(_with_imports, others))


@cache
def _bare(source: str) -> str:
    """Python source without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
