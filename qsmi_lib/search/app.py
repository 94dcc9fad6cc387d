"""The command that serves search by picture as a web page, by default only to this machine."""

import dataclasses
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from qsmi_lib.search.hosts import Hosts

if TYPE_CHECKING:
    from qsmi_lib.search.collection import Collection
    from qsmi_lib.search.page import Page

OF_RUNS = {"dataset", "methods", "bits", "folder", "profile"}  # parameters that say which network is used


@click.command()
@click.argument("index", required=False, type=click.Path(path_type=Path))
@click.option("--dataset", default="digits", show_default=True, help="Data set to search; `datasets` lists all.")
@click.option("--method", "methods", multiple=True, default=("qsmi", "itq"), show_default=True,
              help="Method; repeat to compare several.")  # fmt: skip
@click.option("--bits", default=48, show_default=True, type=click.IntRange(min=1), help="Code length.")
@click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Search the pictures below this folder instead of the data set.")  # fmt: skip
@click.option("--index", "kind", default="flat", show_default=True, type=click.Choice(["flat", "hnsw", "multihash"]),
              help="flat: exhaustive; hnsw: a graph of neighbours; multihash: hash tables of substrings.")  # fmt: skip
@click.option("--port", default=8866, show_default=True, type=click.IntRange(1, 65535), help="Port of the page.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: all.")
@click.option("--allow-host", "allowed", multiple=True, metavar="NAME[:PORT]",
              help="Further name of the page, as behind a proxy; repeat for several.")  # fmt: skip
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page in a browser.")
@click.option(
    "--profile",
    metavar="{digits,quick,paper,gpu}",
    help="Profile of epochs and results folder.  [default: digits for the digits, else quick]",
)
@click.pass_context
def app(
    context: click.Context,
    index: Path | None,
    dataset: str,
    methods: tuple[str, ...],
    bits: int,
    folder: Path | None,
    kind: str,
    port: int,
    host: str,
    allowed: tuple[str, ...],
    browser: bool,
    profile: str | None,
) -> None:
    """Search by picture in a web page: upload a picture, and compare the results of each method bit by bit.

    INDEX is a folder that `index` has written for pictures of your own. Without it, the app uses the networks that
    `run` has trained; missing ones are trained first.
    """
    if index is not None:
        _refuse_options_of_runs(context)
    if importlib.util.find_spec("tornado") is None:
        raise ImportError('the app needs Tornado: pip install "qsmi-lib[app]"')
    from qsmi_lib.search import server

    hosts = Hosts(host, port, allowed)
    with server.listener(host, port) as listening:  # a port in use is told before the training
        if index is None:
            searched = page(dataset, methods, bits, profile, None if folder is None else str(folder), kind)
        else:
            searched = page_of_index(index, kind)
        server.serve(server.application(searched, hosts), listening, server.url(host, port), browser)


def _refuse_options_of_runs(context: click.Context) -> None:
    """A usage error if an option is given that says which network is used; an index has its own."""
    for option in context.command.params:
        given = context.get_parameter_source(option.name) is not ParameterSource.DEFAULT
        if option.name in OF_RUNS and given:
            raise click.UsageError(f"INDEX has its own pictures and network: leave out {option.opts[0]}")


def page_of_index(index: Path, kind: str = "flat") -> "Page":
    """The page of the pictures that `qsmi index` has indexed; its examples are pictures of the held-out tenth.

    Raises:
        FileNotFoundError: `index` holds no index.
        ValueError: it is damaged, of another backbone than the installed one, or an index of vectors.
    """
    from qsmi_lib.methods import METHODS
    from qsmi_lib.search.index.index import Index
    from qsmi_lib.search.page import Page

    collection = dataclasses.replace(Index.load(index).collection(), kind=kind)
    return Page({METHODS[collection.method].title: collection})


def collections(
    dataset: str, methods: Sequence[str], bits: int, profile: str | None, folder: str | None = None, kind: str = "flat"
) -> dict:
    """The collection that each method searches, by its title: the database, or the pictures below `folder`."""
    from qsmi_lib.methods import METHODS
    from qsmi_lib.search import collection

    by_title = {}
    for method in dict.fromkeys(methods):
        config, store = _run_of(dataset, method, bits, profile)
        if folder is None:
            searched = collection.of_run(config, store, kind=kind)
        else:
            searched = collection.of_folder(folder, collection.Hasher.of(config, store), kind=kind)
        by_title[METHODS[method].title] = searched
    return by_title


def queries(dataset: str, method: str, bits: int, profile: str | None) -> "Collection":
    """The query set as `method` hashes it: pictures to search for."""
    from qsmi_lib.search import collection

    return collection.of_run(*_run_of(dataset, method, bits, profile), part="query")


def _run_of(dataset: str, method: str, bits: int, profile: str | None) -> tuple:
    """The run whose codes are searched, and its folder of results."""
    from qsmi_lib.config import presets, profiles
    from qsmi_lib.training.records import Store

    config, chosen = presets.of_profile(dataset, method, bits, profiles.profile(profile) if profile else None)
    return config, Store.of(chosen)


def page(
    dataset: str, methods: Sequence[str], bits: int, profile: str | None, folder: str | None = None, kind: str = "flat"
) -> "Page":
    """The page of `collections`; its examples are queries, or pictures of the folder."""
    from qsmi_lib.search.page import Page

    examples = queries(dataset, methods[0], bits, profile) if folder is None else None
    return Page(collections(dataset, methods, bits, profile, folder, kind), examples)
