"""The command line of the benchmarks: PyTorch is imported when a command needs it."""

import click


@click.group()
def bench() -> None:
    """Measure training, losses, evaluation, indexes, compression, and other things, mostly beside an alternative."""


@bench.command()
@click.option("--epochs", default=2, show_default=True, type=click.IntRange(min=1), help="Timed epochs of each loop.")
@click.option(
    "--dataset", default="fashion_mnist", show_default=True, help="Data set that is trained without a backbone."
)
def train(epochs: int, dataset: str) -> None:
    """Time an epoch of 48-bit QSMI: a loop in the authors' style, and ours in float32 and in the default precision."""
    from qsmi_lib.reproduction.bench.training import train as time_training

    click.echo(time_training(dataset, epochs), nl=False)


@bench.command()
def layers() -> None:
    """Table 4: time a weight update of the last layer with each loss, and the feed-forward of the hashing layers."""
    from qsmi_lib.reproduction.bench.layers import layers as time_layers

    click.echo(time_layers(), nl=False)


@bench.command()
@click.option(
    "--sample",
    default=256,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Number of queries for the other libraries.",
)
@click.option("--size", "sizes", multiple=True, help="Size of the database; repeat for several.  [default: all]")
def evaluate(sample: int, sizes: tuple[str, ...]) -> None:
    """Time `evaluate` and NumPy, scikit-learn and faiss on the same codes; then `evaluate` on larger databases."""
    from qsmi_lib.reproduction.bench.evaluation import SIZES, evaluation
    from qsmi_lib.utils.validation import known

    for size in sizes:
        known("size", SIZES, size)
    click.echo(evaluation(sample, list(sizes or SIZES)), nl=False)


@bench.command()
@click.option(
    "--size",
    "sizes",
    multiple=True,
    help="E.g. '1 million'; repeat for several.  [default: all; only then is the table saved]",
)
def indexes(sizes: tuple[str, ...]) -> None:
    """Measure recall, time and memory of faiss's binary indexes, with 10 thousand to 10 million generated codes."""
    from qsmi_lib.reproduction.bench.indexes import SIZES
    from qsmi_lib.reproduction.bench.indexes import indexes as measure_indexes
    from qsmi_lib.utils.validation import known

    for size in sizes:
        known("size", SIZES, size)
    click.echo(measure_indexes(sizes or tuple(SIZES)), nl=False)


@bench.command()
@click.argument("names", nargs=-1, metavar="[DATASET]...")
@click.option(
    "--backbone", "backbones", multiple=True, default=("efficientnet_lite0", "squeezenet1_1_keras"), show_default=True,
    help="Network whose features are hashed; repeat for several.",
)  # fmt: skip
def compression(names: tuple[str, ...], backbones: tuple[str, ...]) -> None:
    """Measure what codes of a backbone's features cost in mAP and in recall of the nearest, beside their bytes.

    Without DATASET these are the scenes and Tiny ImageNet; only then, and with the usual backbones, are the tables
    saved.
    """
    from qsmi_lib.reproduction.bench.compression import DATASETS, compressed

    click.echo(compressed(names or DATASETS, backbones), nl=False)


@bench.command()
@click.option("--rounds", default=9, show_default=True, type=click.IntRange(min=1), help="Each measures all ways once.")
def pictures(rounds: int) -> None:
    """Time decoding and EfficientNet-Lite0 together, against the network alone, on generated photographs.

    It needs the extra `pictures`, and no data.
    """
    from qsmi_lib.reproduction.bench.pictures import pictures as time_pictures

    click.echo(time_pictures(rounds), nl=False)


@bench.command("printed-digits")
def printed_digits() -> None:
    """Search the digits for printed ones in six fonts: the share of right answers, before and after ink is found.

    Four fonts come from the Debian packages fonts-liberation, fonts-freefont-ttf, fonts-roboto-unhinted and fonts-hack.
    """
    from qsmi_lib.reproduction.bench.printed_digits import printed_digits as search_printed_digits

    click.echo(search_printed_digits(), nl=False)


@bench.command("full-size")
@click.argument("names", nargs=-1, metavar="[SHAPE]...")
@click.option(
    "--share",
    default=1.0,
    show_default=True,
    help="Share of the items, above 0, at most 1; a small share gives a quick first result.",
)
def full_size(names: tuple[str, ...], share: float) -> None:
    """Time an epoch and an evaluation of Tables 6 to 8 on generated data of full size, and estimate the total time.

    SHAPE is nus_wide, ms_coco or ilsvrc. Without it all are measured, and only then are the tables saved. The data take
    13 GB in results/cache and are not deleted.
    """
    from qsmi_lib.reproduction.bench.full_size import full_size as measure_full_size

    click.echo(measure_full_size(names, share), nl=False)


@bench.command()
@click.argument("only", nargs=-1, metavar="[NN]...")
def notebooks(only: tuple[str, ...]) -> None:
    """Time each lesson twice: with nothing recorded or compiled, and again.

    NN is the number of a notebook. Without it all lessons are measured; only then is the table saved, and each lesson
    says its time.
    """
    from qsmi_lib.reproduction.bench.notebooks import measure_lessons

    click.echo(measure_lessons(only), nl=False)
