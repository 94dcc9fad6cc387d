"""The search panel of the notebook: a query (uploaded or an example) and the answers of each method."""

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
from PIL import Image

from qsmi_lib.search import answers
from qsmi_lib.search.collection import Collection
from qsmi_lib.search.uploads import opened


def panel(collections: Mapping[str, Collection], examples: Collection, *, k: int = 10) -> ipywidgets.VBox:
    """An upload, a list of examples, the query's label, a slider for the number of answers, and below them the answers.

    The labels of an example are known. For an upload, choose its label. Answers are then marked as right or wrong.
    A file that is not accepted, or a blank picture, gives a message in the page.

    Args:
        collections: title of each method -> the collection that it searches.
        examples: a collection; its first pictures are offered as queries, and the first one is searched at the start.
        k: number of answers at the start.
    """
    named, most = list(collections.items()), min(map(len, collections.values()))
    upload = ipywidgets.FileUpload(accept="image/*", description="Upload", tooltip="PNG, JPEG, WebP, BMP or TIFF")
    offered = [(f"{n}: {examples.names[item]}", item) for n, item in enumerate(answers.offered(examples), 1)]
    example = ipywidgets.Dropdown(options=[(answers.NONE, None), *offered], description="Example")
    count = ipywidgets.IntSlider(
        value=min(k, most), min=1, max=min(50, most), description="Answers", continuous_update=False
    )
    classes = answers.classes(named[0][1])
    labels_offered = [(answers.UNKNOWN, None), *((name, name) for name in classes)]
    shows = ipywidgets.Dropdown(options=labels_offered, description="It shows")
    message, page = ipywidgets.HTML(), ipywidgets.HTML()
    state: dict[str, Image.Image | frozenset[str]] = {}

    def search(read: Callable[[], Image.Image], labels: frozenset[str]) -> None:
        try:
            image = read()
            answers_of = {title: (c, c.search(image, count.value, labels=labels)) for title, c in named}
            page.value = answers.answers_page(image, answers_of, labels=labels)
        except (OSError, ValueError) as error:  # also a file of the folder that has been deleted
            message.value = answers.refusal(error)
        else:
            state["query"], state["labels"], message.value = image, labels, ""
            shows.value = next(iter(labels)) if len(labels & frozenset(classes)) == 1 else None

    def read_file(file: Mapping[str, Any]) -> Image.Image:
        hasher = named[0][1].hasher
        image = opened(bytes(file["content"]), file["name"], hasher.side)
        hasher.fitted(image, file["name"])  # a blank picture is refused by name
        return image

    def uploaded(change) -> None:
        for file in change["new"]:
            example.value = None
            search(lambda file=file: read_file(file), frozenset())
        if change["new"]:
            upload.value = ()  # so that the same file can be chosen again

    def exemplified(change) -> None:
        if (item := change["new"]) is not None:
            search(lambda: examples.picture(item), examples.labels[item] if examples.labels else frozenset())

    def labelled(change) -> None:
        labels = frozenset() if change["new"] is None else frozenset([change["new"]])
        if "query" in state and labels != state["labels"] and (labels or len(state["labels"]) == 1):
            search(lambda: state["query"], labels)

    def counted(_) -> None:
        if "query" in state:
            search(lambda: state["query"], state["labels"])

    upload.observe(uploaded, "value")
    example.observe(exemplified, "value")
    shows.observe(labelled, "value")
    count.observe(counted, "value")
    example.index = 1
    style = answers.STYLE.read_text(encoding="utf-8")
    about = ipywidgets.HTML(f"<style>{style}</style><h3>Search by picture</h3>{answers.about(named[0][1])}")
    controls = [upload, example, *([shows] if classes else []), count]
    return ipywidgets.VBox([about, ipywidgets.HBox(controls), message, page])
