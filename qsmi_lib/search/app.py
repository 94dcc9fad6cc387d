"""Search by picture as a web page: Voila serves a notebook of one cell, by default only to this machine."""

import importlib.util
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import ipywidgets

    from qsmi_lib.search.collection import Collection

MEGABYTES = 1000  # largest message to the kernel: an upload is one message, and tornado's default is 10 MB
IDLE = 600  # seconds without activity after which a kernel is shut down
CELL = """\
from qsmi_lib.search.app import page
page({arguments})"""


@click.command()
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
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page in a browser.")
@click.option(
    "--profile",
    metavar="{digits,quick,paper,gpu}",
    help="Profile of epochs and results folder.  [default: digits for the digits, else quick]",
)
def app(
    dataset: str,
    methods: tuple[str, ...],
    bits: int,
    folder: Path | None,
    kind: str,
    port: int,
    host: str,
    browser: bool,
    profile: str | None,
) -> None:
    """Search by picture in a web page: upload a picture, and compare the results of each method bit by bit.

    The app uses the networks that `run` has trained; missing ones are trained first.
    """
    if importlib.util.find_spec("voila") is None:
        raise ImportError('the app needs Voila: pip install "qsmi-lib[app]"')
    arguments = {"dataset": dataset, "methods": methods, "bits": bits, "profile": profile, "kind": kind}
    arguments["folder"] = None if folder is None else str(folder.resolve())
    collections(**arguments)  # train and hash before the page opens: with a progress bar, and with errors in one line
    with tempfile.TemporaryDirectory() as folder_of_page:
        serve(write_notebook(arguments, Path(folder_of_page)), port, host, browser)


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


def page(**arguments) -> "ipywidgets.VBox":
    """The panel for `collections(**arguments)`; its examples are queries, or pictures of the folder."""
    from qsmi_lib.search.panel import panel

    by_title = collections(**arguments)
    if arguments["folder"] is not None:
        return panel(by_title, next(iter(by_title.values())))
    return panel(
        by_title, queries(arguments["dataset"], arguments["methods"][0], arguments["bits"], arguments["profile"])
    )


def write_notebook(arguments: Mapping[str, object], folder: Path) -> Path:
    """Write a notebook of one cell that shows `page(**arguments)` into `folder`; use a new folder for each app."""
    import nbformat

    call = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.format(arguments=call))])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["title"] = "Search by picture"
    nbformat.write(notebook, path := folder / "search.ipynb")
    return path


def serve(notebook: Path, port: int, host: str, browser: bool) -> None:
    """Serve `notebook` with Voila until interrupted, and no other file of this machine."""
    from traitlets.config import Config
    from voila.app import Voila

    settings = Config()
    settings.Voila.port, settings.Voila.ip, settings.Voila.open_browser = port, host, browser
    # A page that is closed asks the server to end its kernel, without the token that Voila would require.
    settings.Voila.tornado_settings = {"websocket_max_message_size": MEGABYTES * 10**6, "disable_check_xsrf": True}
    settings.Voila.port_retries = 0  # a port in use is an error, not another port
    settings.MappingKernelManager.cull_idle_timeout, settings.MappingKernelManager.cull_interval = IDLE, IDLE // 10
    settings.VoilaConfiguration.strip_sources = True
    settings.VoilaConfiguration.file_allowlist, settings.VoilaConfiguration.file_denylist = [], [".*"]
    Voila.launch_instance([str(notebook)], config=settings)
