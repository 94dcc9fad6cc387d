"""The command line of the benchmarks: PyTorch is imported when a command needs it."""

import click


@click.group()
def bench() -> None:
    """Time the parts that decide how long a reproduction takes, as ratios in one run."""


@bench.command()
@click.option("--epochs", default=2, show_default=True, type=click.IntRange(min=1), help="Timed epochs of each loop.")
@click.option("--dataset", default="fashion_mnist", show_default=True, help="One with a network of its own.")
def train(epochs: int, dataset: str) -> None:
    """One epoch of 48-bit QSMI: the authors' style of loop, and this library's in float32 and in its own precision."""
    from qsmi_lib.reproduction.bench.training import train as time_training

    click.echo(time_training(dataset, epochs), nl=False)


@bench.command()
def layers() -> None:
    """Table 4: a weight update of the last layer under each loss, and the feed-forward of the hashing layers."""
    from qsmi_lib.reproduction.bench.layers import layers as time_layers

    click.echo(time_layers(), nl=False)


@bench.command()
@click.option("--sample", default=256, show_default=True, type=click.IntRange(1, 10_000), help="Queries of the others.")
@click.option("--size", "sizes", multiple=True, help="Size to grow to, repeatable; none: all.  [default: all]")
def evaluate(sample: int, sizes: tuple[str, ...]) -> None:
    """`evaluate` beside NumPy, scikit-learn and faiss on the same codes, then on larger and larger databases."""
    from qsmi_lib.reproduction.bench.evaluation import SIZES, evaluation
    from qsmi_lib.utils.validation import known

    for size in sizes:
        known("size", SIZES, size)
    click.echo(evaluation(sample, list(sizes or SIZES)), nl=False)


@bench.command()
@click.option("--size", "sizes", multiple=True, help="E.g. '1 million', repeatable; none: all, which is kept.")
def indexes(sizes: tuple[str, ...]) -> None:
    """Recall of faiss's binary indexes against time and memory, over 10 thousand to 10 million generated codes."""
    from qsmi_lib.reproduction.bench.indexes import SIZES
    from qsmi_lib.reproduction.bench.indexes import indexes as measure_indexes
    from qsmi_lib.utils.validation import known

    for size in sizes:
        known("size", SIZES, size)
    click.echo(measure_indexes(sizes or tuple(SIZES)), nl=False)


@bench.command("full-size")
@click.argument("names", nargs=-1, metavar="[SHAPE]...")
@click.option("--share", default=1.0, show_default=True, help="Of the items, above 0, at most 1: for a first look.")
def full_size(names: tuple[str, ...], share: float) -> None:
    """Tables 6 to 8 on generated data of their full size: an epoch, an evaluation, and the time of the whole from them.

    SHAPE is nus_wide, ms_coco or ilsvrc; none: all, the only case in which the tables are kept. The data take 13 GB of
    results/cache and stay there.
    """
    from qsmi_lib.reproduction.bench.full_size import full_size as measure_full_size

    click.echo(measure_full_size(names, share), nl=False)
