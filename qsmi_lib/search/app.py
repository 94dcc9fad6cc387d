"""The search as a web page: a notebook of one cell, served by Voila, on this machine alone unless told otherwise."""

import importlib.util
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import ipywidgets

    from qsmi_lib.search.collection import Collection

MEGABYTES = 1000  # of a message to the page's kernel: an upload comes as one, and tornado closes on more than 10
IDLE = 600  # seconds after which the kernel of a page that was left is ended
CELL = """\
from qsmi_lib.search.app import page
page({arguments})"""


@click.command()
@click.option("--dataset", default="digits", show_default=True, help="Data set that is searched; `datasets` lists all.")
@click.option("--method", "methods", multiple=True, default=("qsmi", "itq"), show_default=True,
              help="Methods side by side; repeat for several.")  # fmt: skip
@click.option("--bits", default=48, show_default=True, type=click.IntRange(min=1), help="Code length.")
@click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Search the pictures below this folder instead of the data set's.")  # fmt: skip
@click.option("--index", "kind", default="flat", show_default=True, type=click.Choice(["flat", "hnsw", "multihash"]),
              help="Every code compared, a graph of neighbours, or tables of substrings.")  # fmt: skip
@click.option(
    "--port", default=8866, show_default=True, type=click.IntRange(1, 65535), help="Where the page is served."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: every one.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page.")
@click.option("--profile", metavar="{digits,quick,paper,gpu}", help="Whose epochs and results.  [default: as of `run`]")
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
    """Search by picture in a web page: upload one, and see what each method answers, and which bits differ.

    The networks are those that `run` trained; what is not trained yet is trained first.
    """
    if importlib.util.find_spec("voila") is None:
        raise ImportError('the app needs Voila: pip install "qsmi-lib[app]"')
    arguments = {"dataset": dataset, "methods": methods, "bits": bits, "profile": profile, "kind": kind}
    arguments["folder"] = None if folder is None else str(folder.resolve())
    collections(**arguments)  # trains and hashes here, where a progress bar is seen, and errors are one line
    with tempfile.TemporaryDirectory() as own:
        serve(written(arguments, Path(own)), port, host, browser)


def collections(
    dataset: str, methods: Sequence[str], bits: int, profile: str | None, folder: str | None = None, kind: str = "flat"
) -> dict:
    """Method's title -> what it searches: the data set's database, or the pictures below `folder`."""
    from qsmi_lib.methods import METHODS
    from qsmi_lib.search import collection

    found = {}
    for method in dict.fromkeys(methods):
        config, store = _run_of(dataset, method, bits, profile)
        if folder is None:
            found[METHODS[method].title] = collection.of_run(config, store, kind=kind)
        else:
            found[METHODS[method].title] = collection.of_folder(folder, collection.Hasher.of(config, store), kind=kind)
    return found


def queries(dataset: str, method: str, bits: int, profile: str | None) -> "Collection":
    """The queries of the data set as `method` hashes them: pictures to search for."""
    from qsmi_lib.search import collection

    return collection.of_run(*_run_of(dataset, method, bits, profile), part="query")


def _run_of(dataset: str, method: str, bits: int, profile: str | None) -> tuple:
    """The run whose codes are searched, and the folder of results in which it lies."""
    from qsmi_lib.config import presets, profiles
    from qsmi_lib.training.records import Store

    config, chosen = presets.of_profile(dataset, method, bits, profiles.profile(profile) if profile else None)
    return config, Store.of(chosen)


def page(**arguments) -> "ipywidgets.VBox":
    """The panel over `collections(**arguments)`, with the first queries, or pictures of the folder, as examples."""
    from qsmi_lib.search.panel import panel

    found = collections(**arguments)
    if arguments["folder"] is not None:
        return panel(found, next(iter(found.values())))
    return panel(found, queries(arguments["dataset"], arguments["methods"][0], arguments["bits"], arguments["profile"]))


def written(arguments: Mapping[str, object], folder: Path) -> Path:
    """A notebook of one cell that shows `page(**arguments)`, in a `folder` that no other app shares."""
    import nbformat

    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.format(arguments=given))])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["title"] = "Search by picture"
    nbformat.write(notebook, path := folder / "search.ipynb")
    return path


def serve(notebook: Path, port: int, host: str, browser: bool) -> None:
    """Serve `notebook` with Voila until it is interrupted; no file of this machine is served beside it."""
    from traitlets.config import Config
    from voila.app import Voila

    settings = Config()
    settings.Voila.port, settings.Voila.ip, settings.Voila.open_browser = port, host, browser
    # A page that is left tells the server to end its kernel, and sends no token with it: Voila would refuse that.
    settings.Voila.tornado_settings = {"websocket_max_message_size": MEGABYTES * 10**6, "disable_check_xsrf": True}
    settings.Voila.port_retries = 0  # a port in use is an error, not a page somewhere else
    settings.MappingKernelManager.cull_idle_timeout, settings.MappingKernelManager.cull_interval = IDLE, IDLE // 10
    settings.VoilaConfiguration.strip_sources = True
    settings.VoilaConfiguration.file_allowlist, settings.VoilaConfiguration.file_denylist = [], [".*"]
    Voila.launch_instance([str(notebook)], config=settings)
