"""The command line, `qsmi` or `python -m qsmi_lib`: PyTorch is imported when needed, so that help comes at once."""

import signal
import sys
from pathlib import Path

import click

from qsmi_lib.reproduction.bench.commands import bench
from qsmi_lib.search.app import app


def named_profile(context: click.Context, parameter: click.Parameter, name: str | None):
    """The profile called `name`, an unknown one being a wrong value of the option."""
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
    help="digits: embedded data, minutes, no network. quick: real data and stand-ins, 1 seed, mostly 10 epochs. "
    "paper: the same, 5 seeds, mostly 50 epochs. gpu: as paper, all methods at four code lengths and 50 epochs.",
)


class Commands(click.Group):
    """Turns the library's errors into one line, and an interrupt into a word on what is safe."""

    def invoke(self, context: click.Context):
        """Run the command; expected errors end it with one line and status 1."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as an interrupt: processes of ours end too
        try:
            return super().invoke(context)
        except BrokenPipeError:
            raise  # the reader of our output has gone, as with `| head`: click ends without a word
        except (ValueError, OSError, FloatingPointError, ImportError) as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo("\ninterrupted: finished runs are recorded; without --fresh the command goes on there", err=True)
            sys.exit(130)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="qsmi-lib")
def main() -> None:
    """Learn, score and reproduce compact image codes with Quadratic Spherical Mutual Information."""


@main.command()
@PROFILE
@click.option("--only", multiple=True, metavar="NN", help="A notebook's number or name; repeat for several.")
@click.option(
    "--seed", "seeds", multiple=True, type=int, help="Train these seeds alone and run no notebook; repeat for several."
)
@click.option("--fresh", is_flag=True, help="Run again what is recorded already.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Runs or notebooks at a time.")
def reproduce(profile, **options) -> None:
    """Regenerate every table and figure: train what is not recorded, then run the notebooks headless.

    A run that is recorded is not run again, so an interrupted command goes on where it stopped. Where runs are missing
    and their data are not available, they and their notebooks are skipped by name.
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
    if failures:
        sys.exit(1)


@main.command()
@click.option("--dataset", required=True, help="Data set, e.g. digits, or a folder, zip or list; `datasets` lists all.")
@click.option("--method", required=True, help="Method, e.g. qsmi, dch, spring or lsh; a wrong name lists all.")
@click.option("--bits", required=True, type=int, help="Code length.")
@click.option("--seed", type=int, help="Of weights and batches.  [default: 0]")
@click.option("--epochs", type=int, help="Passes over the training set.  [default: the profile's]")
@click.option("--batch-size", type=int, help="Items a batch.  [default: 128]")
@click.option("--learning-rate", type=float, help="Adam's step.  [default: 0.001]")
@click.option("--schedule", help="Of the learning rate: constant or cosine.  [default: constant]")
@click.option("--augmentation", help="Of training pictures: none, shift, flip or flip_shift.  [default: none]")
@click.option("--memory", type=int, help="Earlier batches that each batch is compared with too.  [default: 0]")
@click.option("--alpha", type=float, help="Weight of the quantization term.  [default: the method's]")
@click.option("--precision", help="auto, float32 or bf16.  [default: auto]")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE",
              help="A further setting of the method, e.g. information_needs=10 or form=likelihood.")  # fmt: skip
@click.option(
    "--backbone",
    help="Whose features are hashed, e.g. resnet56; a wrong name lists all.  [default: none; cifar10: resnet56]",
)
@click.option("--backbone-learning-rate", type=float, help="Adam's step for the backbone itself.  [default: 0, frozen]")
@click.option("--head", help="What hashes a backbone's features: narrow, wide or csq.  [default: the data set's]")
@click.option("--protocol", help="How the data set is divided, e.g. reduced or first_tenth.  [default: full]")
@click.option("--draw", type=int, help="Which split, e.g. which classes unseen_2 holds back.  [default: 0]")
@click.option("--profile", metavar="{digits,quick,paper,gpu}", callback=named_profile,
              help="Whose epochs and folder of results.  [default: digits for the digits, else quick]")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Run again although it is recorded.")
def run(dataset: str, method: str, bits: int, options: tuple[str, ...], profile, fresh: bool, **given) -> None:
    """Train one network, print its metrics and save its record, weights and codes."""
    from qsmi_lib.config import presets
    from qsmi_lib.methods import METHODS
    from qsmi_lib.training import runs
    from qsmi_lib.training.records import Store, run_id
    from qsmi_lib.utils import validation

    extra = dict(map(parse_option, options))
    for option in extra:
        validation.known(f"option of {method}", presets.options_of(method), option)
    config, profile = presets.of_profile(dataset, method, bits, profile, **given, **extra)
    store = Store.of(profile)
    record = runs.run(config, store, fresh=fresh)
    if "data" in record:
        click.echo(record["data"])
    rules = {"metrics": "share of labels", "metrics_share_one": "any shared label"}
    for kind in (name for name in rules if name in record):
        rule = f", {rules[kind]}" if "metrics_share_one" in record else ""
        for metric, value in record[kind].items():
            if isinstance(value, float | int):
                named = f"{metric}{rule}".ljust(21 + len(rule)) + " "
                click.echo(f"{named}{value:.4f}" if isinstance(value, float) else f"{named}{value}")
    click.echo(f"{'record':<22}{shown(store.record(run_id(config)))}")
    if record["provenance"]["dirty"] or record["provenance"]["commit"] is None:
        click.echo("made by code without a commit of its own")
    echo_note(METHODS[method])


@main.command()
@click.argument("methods", nargs=-1, required=True, metavar="METHOD...")
@click.option("--dataset", help="Data set.  [default: the profile's]")
@click.option("--backbone", default="", help="Whose frozen features are hashed.  [default: none; cifar10: resnet56]")
@click.option("--bits", default=48, show_default=True, type=click.IntRange(min=1), help="Code length.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of weights and batches.")
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Passes over the nine tenths.  [default: 10, or 50 of frozen features]"
)
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Trials at a time.")
@PROFILE
def tune(methods: tuple[str, ...], dataset: str | None, profile, epochs: int | None, **options) -> None:
    """Choose the hyper-parameters of METHOD by line search, scored on training items held out, and record the search.

    What `results/paper/tuning` holds is what the comparison of methods uses. A trial that is recorded is not run again.
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
            shown_settings = ", ".join(f"{name} {value}" for name, value in trial["settings"].items()) or "as it is"
            click.echo(f"{method:<16}{search['criterion']} {trial[search['criterion']]:.4f}  {shown_settings}")
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
    help="Also write README.md and the pages in results.",
)
def tables(profile, rescore: bool, readme: bool) -> None:
    """Print the tables of the records, and write tables and figures; no training, no data."""
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
    if rescore:
        click.echo(f"{runs.rescore(results.store)} records scored again")
    for name, entry in EXPERIMENTS.items():
        if entry.metrics:
            click.echo(table.markdown(name, results))
    for path in write_all(results):
        click.echo(shown(path))
    if readme:
        for path in ledger.write_pages():
            click.echo(shown(path))


@main.command()
@PROFILE
@click.option("--all", "every", is_flag=True, help="Every record, and not one of each kind.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Processes at a time.")
def verify(profile, every: bool, jobs: int) -> None:
    """Replay the first steps of recorded runs with today's code, and list each record that they do not repeat.

    One run of each kind is replayed: of each data set, method, protocol, backbone and head. Status 1 if any disagrees.
    """
    from qsmi_lib.reproduction import verify as verification
    from qsmi_lib.training.records import Store

    result = verification.verify(Store.of(profile), every=every, jobs=jobs)
    for line in verification.lines(result):
        click.echo(line)
    sys.exit(1 if result.disagree else 0)


@main.group(invoke_without_command=True)
@click.pass_context
def datasets(context: click.Context) -> None:
    """List the data sets and the backbones' weights: which are on this machine, and how to get the others."""
    from qsmi_lib.training.splits import inventory

    for name, place, fetch in () if context.invoked_subcommand else inventory():
        click.echo(f"{name:<21}{f'here: {place}' if place else f'not here: {fetch}'}")


@datasets.command()
@click.argument("path", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """List all that is wrong with the folder, zip or list file PATH of pictures, with file and line; status 1 if any.

    Forms: lists of lines `path 0 1 0 ...` (one, or train.txt, test.txt and database.txt), labels.csv, or folders of
    classes.
    """
    from qsmi_lib.datasets.images import check as inspection

    found = inspection.inspect(path)
    for kind, entries in (("fault", found.faults), ("note", found.notes)):
        for entry in entries:
            click.echo(f"{kind}  {entry}")
    click.echo(f"{inspection.summary(found.manifest)}; {len(found.faults)} faults, {len(found.notes)} notes")
    sys.exit(1 if found.faults else 0)


main.add_command(app)
main.add_command(bench)


def parse_option(text: str) -> tuple[str, float | str]:
    """``NAME=VALUE`` as a pair, a value that reads as a number being one; a ValueError says what was expected."""
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise ValueError(f"an option must read NAME=VALUE, got {text!r}")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def echo_note(method) -> None:
    """What must stand beside the numbers of a `Method`."""
    if method.note:
        click.echo(f"{method.title}: {method.note}")


def shown(path: Path) -> str:
    """`path` as seen from here, where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
