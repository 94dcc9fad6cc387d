"""What compression of a backbone's features costs, on photographs: the table of `search.index.compression`."""

from collections.abc import Iterator, Sequence
from itertools import product

import pandas as pd
import torch

from qsmi_lib import datasets
from qsmi_lib.models import backbones
from qsmi_lib.reproduction.bench.measure import machine, save, table
from qsmi_lib.search.index import compression
from qsmi_lib.search.index.sources import BACKBONE, named_labels
from qsmi_lib.training import load_split
from qsmi_lib.utils import io, paths

DATASETS = ("miml_scenes", "tiny_imagenet_32")
BACKBONES = (BACKBONE, "squeezenet1_1_keras")
SEEN = {"tiny_imagenet_32": "The backbones were trained with the labels of these 32 classes, in ImageNet, so that the "
        "scores are higher than on new classes."}  # fmt: skip
HOW = f"""\
Features are stored as float32, by the sign of each number, or as codes of ITQ and QSMI, and searched. A held-out tenth,
of which at most {compression.N_QUERY:,} items ask, searches the others, from which alone codes are learned. One seed.

- mAP is that of the whole ranking. An item is relevant if it shares a label with the query.
- Recall of {compression.NEAREST} is the share of the {compression.NEAREST} nearest items by cosine of float32 that are
  among the first {compression.NEAREST}; likewise of {compression.MORE}. QSMI learns which items share labels, and not
  which features are near, so that its recall is low.
- These features are never negative. So all signs are equal, and the items stay in database order."""


def compressed(names: Sequence[str] = DATASETS, of: Sequence[str] = BACKBONES) -> str:
    """Measure the features of each data set by each of the backbones `of`; returns the tables.

    With all data sets and the usual backbones they are kept in results/benchmarks, and a CSV beside them: `dataset`,
    `backbone`, `n_query`, `n_database`, `method`, `bits`, `bytes`, `map`, `recall`, `recall_100` and `remark`.

    Raises:
        ValueError, FileNotFoundError: as of `load_split`.
    """
    parts, rows = [HOW, machine(torch.device("cpu"), "numpy", "timm")], []
    for name, backbone in product(names, of):
        measured = _measured(name, backbone)
        rows += _records(name, backbone, measured)
        title = f"**{datasets.TITLES.get(name, name)}**, {backbones.named(backbone).title}"
        asked = f"{measured.n_query:,} items ask {measured.n_database:,} others."
        parts += [
            " ".join([f"{title}: {asked}", *filter(None, [SEEN.get(name)])]),
            table(*compression.columns(measured)),
        ]
    if (tuple(names), tuple(of)) != (DATASETS, BACKBONES):
        return "\n\n".join(parts) + "\n"
    io.write_text(paths.results() / "benchmarks" / "compression.csv", pd.DataFrame(rows).to_csv(index=False))
    return save("compression", *parts)


def _measured(name: str, backbone: str) -> compression.Table:
    """The table for all items of a data set, queries and database together."""
    split = load_split(name, backbone=backbone)
    features, labels = (torch.cat(pair).numpy() for pair in (
        (split.query.inputs, split.database.inputs), (split.query.labels, split.database.labels)))  # fmt: skip
    return compression.table(features, named_labels(labels, split.classes), bits=compression.LENGTHS)


def _records(name: str, backbone: str, measured: compression.Table) -> Iterator[dict]:
    """The rows of the CSV."""
    about = {"dataset": name, "backbone": backbone, "n_query": measured.n_query, "n_database": measured.n_database}
    for row in measured.rows:
        scores = {key: round(value, 4) for key, value in row._asdict().items() if isinstance(value, float)}
        yield about | row._asdict() | scores
