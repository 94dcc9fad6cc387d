"""The command line, `qsmi` or `python -m qsmi_lib`; commands import PyTorch only when they run, so help is fast."""

import contextlib
import enum
import io
import sys
from pathlib import Path

import click

from qsmi_lib.reproduction.bench.commands import bench
from qsmi_lib.search.app import app
from qsmi_lib.search.example_pictures import example_pictures
from qsmi_lib.search.index.commands import index, search
from qsmi_lib.utils import interrupts


class Status(enum.IntEnum):
    """The exit status of every command; `STATUS` says what each means, and `--help` prints it."""

    DONE = 0
    FAILED = 1
    USAGE = 2  # click's
    HANGUP = 129  # 128 and the number of the signal, as shells have it
    INTERRUPTED = 130
    TERMINATED = 143


STATUS = {
    Status.DONE: "done; what was checked is in order; the app was asked to end",
    Status.FAILED: "an error, which the last line names; or a check found faults or could check nothing",
    Status.USAGE: "the command line is wrong: an unknown option, an argument missing, a number out of range",
    Status.HANGUP: "the terminal was closed; finished work is kept",
    Status.INTERRUPTED: "interrupted, as by Ctrl-C; finished work is kept",
    Status.TERMINATED: "asked to end, as by `kill`; finished work is kept",
}
EPILOG = "\b\nExit status:\n" + "\n".join(f"  {status:<4} {meaning}" for status, meaning in STATUS.items())


def named_profile(context: click.Context, parameter: click.Parameter, name: str | None):
    """The profile called `name`; an unknown one is reported as a wrong value of the option."""
    from qsmi_lib.config.profiles import profile

    try:
        return None if name is None else profile(name)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


PROFILE = click.option(
    "--profile",
    default="digits",
    show_default=True,
    callback=named_profile,
    metavar="{digits,quick,paper,gpu}",
    help="digits: built-in data, minutes, no download. quick: real data and substitutes, 1 seed, mostly 10 epochs. "
    "paper: the same data, 5 seeds, mostly 50 epochs. gpu: as paper; all methods at four code lengths, 50 epochs.",
)


INTERRUPTED = "\ninterrupted: finished work is kept; to continue, repeat the command, without --fresh"


NO_MEMORY = ("can't allocate memory", "out of memory")  # in PyTorch's errors, on the CPU and on a GPU


class Commands(click.Group):
    """Shows errors of the library as one line, and after an interrupt how to continue; prints in any charset."""

    def main(self, *arguments, **options):
        """Run the command line. A character that the console's charset lacks is printed as its number."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*arguments, **options)

    def invoke(self, context: click.Context):
        """Run the command; an expected error is one line, and a signal says how to continue; see `Status`."""
        try:
            with interrupts.interruptible():
                return super().invoke(context)
        except BrokenPipeError:
            raise  # the reader of the output has ended, as `head` does: click exits silently
        except (ValueError, OSError, FloatingPointError, ImportError) as error:
            raise click.ClickException(str(error)) from error
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not any(words in str(error) for words in NO_MEMORY):
                raise
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "no more is free"
            raise click.ClickException(
                f"out of memory ({reason}): use a smaller batch, memory, number of bins or samples, or fewer bits"
            ) from error
        except KeyboardInterrupt as interrupt:
            with contextlib.suppress(OSError):  # the terminal is closed
                click.echo(INTERRUPTED, err=True)
            sys.exit(interrupts.status(interrupt))


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="qsmi-lib")
def main() -> None:
    """Learn, evaluate and search compact image codes with Quadratic Spherical Mutual Information."""


@main.command()
@PROFILE
@click.option("--only", multiple=True, metavar="NN", help="Number or name of a notebook; repeat for several.")
@click.option(
    "--seed", "seeds", multiple=True, type=int, help="Train only this seed and run no notebook; repeat for several."
)
@click.option("--fresh", is_flag=True, help="Repeat recorded runs.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Parallel processes.")
def reproduce(profile, **options) -> None:
    """Reproduce every table and figure: train what is not recorded, then execute the notebooks.

    Recorded runs are reused, so an interrupted command continues where it stopped. If data are not available, the
    runs and notebooks that need them are skipped, and their names are printed.
    """
    from qsmi_lib.utils import paths

    paths.need_checkout("reproduce")  # before its imports: they need what the notebooks need
    from qsmi_lib.reproduction.reproduce import reproduce
    from qsmi_lib.reproduction.results import Results
    from qsmi_lib.training.records import Store

    store = Store.of(profile)
    failures = reproduce(Results(profile, store), **options)
    for folder in (store.figures, store.tables, store.notebooks):
        if folder.exists():
            click.echo(f"{folder.name + ':':<11}{shown(folder)}")
    for failure in failures:
        click.echo(failure, err=True)
    end(failed=bool(failures))


LABELS = click.option(
    "--labels",
    default="",
    metavar="{index,multi-hot}",
    help="How one column of 0 and 1 in a list of pictures is read: two classes, or one label.  [default: refused]",
)


@main.command()
@click.option(
    "--dataset",
    required=True,
    help="Data set, e.g. digits, or the path of a folder, zip or list.",
)
@click.option("--method", required=True, help="Method, e.g. qsmi, dch, spring or lsh; a wrong name lists all.")
@click.option("--bits", required=True, type=int, help="Code length.")
@click.option("--seed", type=int, help="Seed of weights and batches.  [default: 0]")
@click.option("--epochs", type=int, help="Passes over the training set.  [default: that of the profile]")
@click.option("--batch-size", type=int, help="Items in a batch.  [default: 128]")
@click.option("--learning-rate", type=float, help="Learning rate of Adam.  [default: 0.001]")
@click.option("--schedule", help="Schedule of the learning rate: constant or cosine.  [default: constant]")
@click.option(
    "--augmentation", help="Random change of training pictures: none, shift, flip or flip_shift.  [default: none]"
)
@click.option("--memory", type=int, help="Earlier batches that each batch is also compared with.  [default: 0]")
@click.option("--alpha", type=float, help="Weight of the quantization term.  [default: that of the method]")
@click.option("--precision", help="auto, float32 or bf16.  [default: auto]")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE",
              help="Another setting of the method, e.g. information_needs=10 or form=likelihood.")  # fmt: skip
@click.option(
    "--backbone",
    help="Backbone whose features are hashed; a wrong name lists all; timm:NAME or timm:NAME@FILE is a model of timm.  "
    "[default: that of the data set; pictures: efficientnet_lite0]",
)
@click.option("--backbone-learning-rate", type=float, help="Learning rate of the backbone.  [default: 0, frozen]")
@click.option("--head", help="Head on the features: narrow, wide or csq.  [default: that of the data set]")
@click.option("--protocol", help="Protocol that divides the data set, e.g. reduced or first_tenth.  [default: full]")
@LABELS
@click.option("--draw", type=int, help="Number of the split, e.g. which classes unseen_2 holds out.  [default: 0]")
@click.option("--profile", metavar="{digits,quick,paper,gpu}", callback=named_profile,
              help="Profile of epochs and results folder.  [default: digits for the digits, else quick]")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Run again even if it is recorded.")
def run(dataset: str, method: str, bits: int, options: tuple[str, ...], profile, fresh: bool, **settings) -> None:
    """Train one network, print its metrics and save its record, weights and codes."""
    from qsmi_lib.config import presets
    from qsmi_lib.methods import METHODS
    from qsmi_lib.training import runs
    from qsmi_lib.training.records import Store, run_id
    from qsmi_lib.utils import validation

    extra = dict(map(parse_option, options))
    for option in extra:
        validation.known(f"option of {method}", presets.options_of(method), option)
    config, profile = presets.of_profile(dataset, method, bits, profile, **settings, **extra)
    store = Store.of(profile)
    record = runs.run(config, store, fresh=fresh)
    if "data" in record:
        click.echo(record["data"])
    rules = {"metrics": "share of labels", "metrics_share_one": "any shared label"}
    for kind in (name for name in rules if name in record):
        rule = f", {rules[kind]}" if "metrics_share_one" in record else ""
        for metric, value in record[kind].items():
            if isinstance(value, float | int):
                label = f"{metric}{rule}".ljust(21 + len(rule)) + " "
                click.echo(f"{label}{value:.4f}" if isinstance(value, float) else f"{label}{value}")
    click.echo(f"{'record':<22}{shown(store.existing(store.record(run_id(config))))}")
    if record["provenance"]["commit"] is None:
        click.echo("made by code of no known commit")
    elif record["provenance"]["dirty"]:
        click.echo("made by code with uncommitted changes")
    echo_note(METHODS[method])


@main.command()
@click.argument("methods", nargs=-1, required=True, metavar="METHOD...")
@click.option("--dataset", help="Data set.  [default: that of the profile]")
@click.option(
    "--backbone",
    default="",
    help="Backbone of frozen features.  [default: that of the data set; pictures: efficientnet_lite0]",
)
@click.option("--bits", default=48, show_default=True, type=click.IntRange(min=1), help="Code length.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed of all trials.")
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Passes over the training items.  [default: 10; features: 50]",
)
@LABELS
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Parallel processes.")
@PROFILE
def tune(methods: tuple[str, ...], dataset: str | None, profile, epochs: int | None, **options) -> None:
    """Choose the hyper-parameters of METHOD by line search on held-out training items, and record the search.

    The comparison of methods uses the searches in `results/paper/tuning`. Recorded trials are reused.
    """
    from qsmi_lib.methods import METHODS
    from qsmi_lib.training import tuning
    from qsmi_lib.training.records import Store
    from qsmi_lib.utils import validation

    store, dataset = Store.of(profile), dataset or profile.dataset
    trained = {name: entry for name, entry in METHODS.items() if entry.loss is not None}
    for method in methods:
        validation.known("trained method", trained, method)
    for method in methods:
        search = tuning.tune(method, dataset, store, epochs=epochs, **options)
        for trial in search["trials"]:
            settings = ", ".join(f"{name} {value}" for name, value in trial["settings"].items()) or "defaults"
            click.echo(f"{method:<16}{search['criterion']} {trial[search['criterion']]:.4f}  {settings}")
        chosen = ", ".join(f"{name} {value}" for name, value in search["chosen"].items()) or "nothing to choose"
        of_search = {name: search[name] for name in ("backbone", "bits", "seed", "epochs") if name in search}
        click.echo(f"{method:<16}chosen: {chosen}")
        echo_note(METHODS[method])
        click.echo(f"{'search':<16}{shown(tuning.search_path(method, dataset, store, **of_search))}")


@main.command()
@PROFILE
@click.option("--rescore", is_flag=True, help="First compute the metrics again from the saved codes.")
@click.option(
    "--readme",
    is_flag=True,
    help="Also write the results section of README.md and the pages in results, always of the profile paper.",
)
def tables(profile, rescore: bool, readme: bool) -> None:
    """Write the tables and figures of the recorded runs, and print the tables; needs no data."""
    from qsmi_lib.utils import paths

    paths.need_checkout("tables")  # before its imports: they need what the notebooks need
    from qsmi_lib.reproduction import ledger
    from qsmi_lib.reproduction import tables as table
    from qsmi_lib.reproduction.experiments import EXPERIMENTS
    from qsmi_lib.reproduction.reproduce import write_all
    from qsmi_lib.reproduction.results import Results
    from qsmi_lib.training import runs
    from qsmi_lib.training.records import Store

    results = Results(profile, Store.of(profile))
    results.store.need_records()
    if rescore:
        click.echo(f"{runs.rescore(results.store)} records evaluated again")
    written = [*write_all(results), *(ledger.write_pages() if readme else ())]
    for name, entry in EXPERIMENTS.items():
        if entry.metrics:
            click.echo(table.markdown(name, results))
    for path in written:
        click.echo(shown(path))


@main.command()
@PROFILE
@click.option("--all", "every", is_flag=True, help="Replay every record, not only one of each kind.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Parallel processes.")
def verify(profile, every: bool, jobs: int) -> None:
    """Replay the first steps of recorded runs with the current code, and list the records that it does not reproduce.

    One run of each kind is replayed: each data set, method, protocol, backbone and head. Exit status 1 if any differs,
    or if none could be replayed.
    """
    from qsmi_lib.reproduction import verify as verification
    from qsmi_lib.training.records import Store

    result = verification.verify(Store.of(profile), every=every, jobs=jobs)
    for line in verification.lines(result):
        click.echo(line)
    end(failed=bool(result.disagree) or not result.agree)


@main.group(invoke_without_command=True)
@click.pass_context
def datasets(context: click.Context) -> None:
    """List the data sets and the weights of the backbones: their paths on this machine, or how to get them."""
    from qsmi_lib.training.splits import inventory

    for name, place, fetch in () if context.invoked_subcommand else inventory():
        click.echo(f"{name:<21}{f'here: {place}' if place else f'not here: {fetch}'}")


@datasets.command()
@click.argument("path", type=click.Path(path_type=Path))
@LABELS
def check(path: Path, labels: str) -> None:
    """Check pictures and labels at PATH, a folder, zip, tar or list file; list each fault with file and line.

    Labels come from lists or tables of pictures (one file, or train.txt, test.txt and database.txt), from the files of
    known public data sets, or from one folder for each class. The first lines show how they were read. Exit status 1
    if there are faults.
    """
    from qsmi_lib.datasets.images import check as inspection

    report = inspection.inspect(path, labels)
    for line in inspection.understood(report.manifest):
        click.echo(line)
    listed = {"fault": report.faults, "note": report.notes}
    for kind, entries in listed.items():
        for entry in entries:
            click.echo(f"{kind}  {entry}")
    counts = [f"{len(entries)} {kind}{'s' * (len(entries) != 1)}" for kind, entries in listed.items()]
    click.echo(f"{inspection.summary(report.manifest)}; {', '.join(counts)}")
    end(failed=bool(report.faults))


main.add_command(app)
main.add_command(bench)
main.add_command(example_pictures)
main.add_command(index)
main.add_command(search)


def end(*, failed: bool) -> None:
    """End the command: a check that failed is told by its status alone, after what the command has printed."""
    sys.exit(Status.FAILED if failed else Status.DONE)


def parse_option(text: str) -> tuple[str, float | str]:
    """``NAME=VALUE`` as a pair, numbers as float; a ValueError says what is expected."""
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise ValueError(f"an option must read NAME=VALUE, got {text!r}")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def echo_note(method) -> None:
    """Print the note that belongs to the numbers of a `Method`, if it has one."""
    if method.note:
        click.echo(f"{method.title}: {method.note}")


def shown(path: Path) -> str:
    """`path`, relative to the current folder if it is inside that folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
