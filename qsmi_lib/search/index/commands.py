"""The commands `qsmi index` and `qsmi search`."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from qsmi_lib.utils import paths

MOST_FAULTS = 20  # printed


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="FOLDER|VECTORS")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the index.  [default: SOURCE.index]")
@click.option("--bits", type=click.IntRange(min=1), help="Code length.  [default: that of the index, or 48]")
@click.option(
    "--labels",
    metavar="TABLE",
    help="Of vectors: a .csv, .npy or .parquet with a row for each. Of pictures, if a list has one column of 0 and 1: "
    "`index` for two classes, `multi-hot` for one label.",
)
@click.option("--no-labels", is_flag=True, help="Ignore folders of classes and lists, and learn without labels.")
@click.option("--backbone", help="Network whose features are hashed; also timm:NAME.  "
              "[default: that of the index, or efficientnet_lite0]")  # fmt: skip
@click.option("--retrain", is_flag=True, help="Train the hasher anew.")
@click.option("--seed", type=click.IntRange(min=0),
              help="Of the hasher and the held-out tenth.  [default: that of the index, or 0]")  # fmt: skip
@click.option("--parquet", type=click.Path(path_type=Path), metavar="FILE",
              help="Also write names, labels and codes to a Parquet file.")  # fmt: skip
def index(
    source: Path,
    output: Path | None,
    bits: int | None,
    labels: str | None,
    no_labels: bool,
    backbone: str | None,
    retrain: bool,
    seed: int | None,
    parquet: Path | None,
) -> None:
    """Make an index of a folder of pictures, or of vectors in a .npy or .parquet file, and search it with `search`.

    Where labels are known (folders of classes, a list, a table), codes are learned from them with QSMI, else with ITQ.
    A tenth of the items is not learned from: it tests the codes, and the scores are printed. A second call keeps what
    was learned, and encodes only what was added or changed.
    """
    from qsmi_lib.datasets.images.entries import count
    from qsmi_lib.search.index import building, compression, storage
    from qsmi_lib.search.index import index as indexes

    place = paths.expanded(source)
    if not place.exists():
        raise FileNotFoundError(f"there is no {place}: expected a folder of pictures, or vectors in a .npy file")
    folder = indexes.default_output(place) if output is None else paths.expanded(output)
    known = indexes.Index.load(folder).source if storage.holds_index(folder) else None
    if output is None and known not in (None, place.resolve()):
        raise ValueError(f"{folder} is the index of {known}: name another one for {place} with --output")
    if parquet is not None:
        _check_export(paths.expanded(parquet), [place, *([] if labels is None else [paths.expanded(labels)])])
    items = _source(place, folder, labels, no_labels, backbone)
    lengths = compression.LENGTHS if items.kind == storage.VECTORS else ()
    built = building.build(items, folder, bits=bits, seed=seed, retrain=retrain, lengths=lengths)
    for fault in built.faults[:MOST_FAULTS]:
        click.echo(str(fault), err=True)
    if len(built.faults) > MOST_FAULTS:
        click.echo(f"... and {len(built.faults) - MOST_FAULTS} more", err=True)
    if built.faults:
        click.echo(f"{count(built.faults, 'picture', 'pictures')} that cannot be read: left out", err=True)
    for note in built.notes:
        click.echo(f"note: {note}", err=True)
    made = indexes.Index(built.index)
    if built.trained:
        for line in compression.lines(compression.from_record(made.stored.about["scores"]), (made.method, made.bits)):
            click.echo(line)
    click.echo(f"added {built.added}, changed {built.changed}, removed {built.removed}")
    click.echo(f"{folder}: {indexes.about(made)}")
    if not built.trained:
        click.echo("the codes' scores are those of the first call: --retrain learns and tests anew")
    else:
        query = "PICTURE" if made.kind == storage.PICTURES else "VECTOR"
        click.echo(f"search it: qsmi search {shlex.quote(str(folder))} {query}")
    if parquet is not None:
        from qsmi_lib.search.index.parquet import to_parquet

        stored = [*made.stored.items]
        to_parquet(paths.expanded(parquet), [item.name for item in stored], [item.labels for item in stored],
                   made.stored.codes)  # fmt: skip
        click.echo(f"{parquet}")


def _source(place: Path, folder: Path, labels: str | None, no_labels: bool, backbone: str | None):
    """The items at `place`. Pictures are seen by `backbone`; None: by that of the index in `folder`."""
    from qsmi_lib.datasets.images.labels import INDEX, MULTI_HOT
    from qsmi_lib.search.index import index as indexes
    from qsmi_lib.search.index import sources, vectors

    if labels is not None and no_labels:
        raise ValueError("--labels and --no-labels contradict each other: give one of them")
    if place.is_file() and place.suffix.lower() in vectors.SUFFIXES:
        if backbone is not None:
            raise ValueError("--backbone is for pictures, and vectors are hashed as they are: leave it out")
        return sources.Vectors.read(place, None if labels is None else paths.expanded(labels))
    root = sources.root_of(place)
    if root.is_dir() and folder.absolute().resolve().is_relative_to(root.resolve()):
        raise ValueError(f"the index {folder} would lie in the folder that is indexed: name another one with --output")
    if labels not in (None, INDEX, MULTI_HOT):
        raise ValueError(
            f"--labels {labels} is for vectors: put the table into the folder of the pictures and call it labels, or "
            f"give it as FOLDER; of pictures, --labels is {INDEX} or {MULTI_HOT}, for one column of 0 and 1"
        )
    backbone = backbone or indexes.backbone_of(folder)
    return sources.Folder(place, backbone, labelled=not no_labels, choice=labels or "")


def _check_export(path: Path, sources: Sequence[Path]) -> None:
    """An error, before anything is computed, if the Parquet file cannot be written or is one of those that are read."""
    from qsmi_lib.search.index import parquet

    parquet.library()
    if path.suffix.lower() != ".parquet":
        raise ValueError(f"--parquet must name a file that ends in .parquet, got {path}")
    if path.resolve() in [source.resolve() for source in sources]:
        raise ValueError(f"--parquet {path} would overwrite what is indexed: name another file")


@click.command()
@click.argument("index", type=click.Path(path_type=Path))
@click.argument("query", type=click.Path(path_type=Path), metavar="PICTURE|VECTOR")
@click.option("--k", default=10, show_default=True, type=click.IntRange(min=1), help="Number of answers.")
@click.option("--rerank", default=0, type=click.IntRange(min=0), metavar="N",
              help="Order the first N answers by their stored features, e.g. 100.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects with name, labels and distance.")
def search(index: Path, query: Path, k: int, rerank: int, as_json: bool) -> None:
    """Print the items of INDEX that are nearest to a picture, or to a vector in a .npy file.

    The distance is the number of bits that differ. --rerank changes the order alone.
    """
    from qsmi_lib.search.index.index import Index

    answers = Index.load(index).search(query, k, rerank=rerank)
    if as_json:
        rows = [
            {"name": answer.name, "distance": answer.distance, "labels": _sorted(answer.labels)} for answer in answers
        ]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    names = [_shown(str(answer.name)) for answer in answers]
    width = max(map(len, names))
    for place, (name, answer) in enumerate(zip(names, answers, strict=True), 1):
        labels = _shown(", ".join(_sorted(answer.labels) or ()))
        click.echo(f"{place:>4}  {answer.distance:>4} bits  {name:<{width}}  {labels}".rstrip())
    if not rerank and len({answer.distance for answer in answers}) < len(answers):
        click.echo("Answers at equal distance are in no order; --rerank 100 orders them by their features.", err=True)


def _shown(text: str) -> str:
    """`text` in one line: characters that a terminal obeys are shown as escapes."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _sorted(labels: frozenset[str] | None) -> list[str] | None:
    return None if labels is None else sorted(labels)
