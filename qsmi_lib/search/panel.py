"""The search panel of the notebook and the app: a query (uploaded or an example) and the answers of each method."""

import base64
import functools
import html
import io
from collections.abc import Callable, Mapping, Sequence

import ipywidgets
from PIL import Image

from qsmi_lib.search.collection import Answer, Collection
from qsmi_lib.search.uploads import opened

SIDE = 72  # pixels of a thumbnail
STYLE = """\
<style>
.qsmi-row {display: flex; flex-wrap: wrap; gap: 4px; list-style: none; margin: 4px 0 16px; padding: 0}
.qsmi-row figure {margin: 0; width: 77px; text-align: center; font-size: 11px; line-height: 1.3}
.qsmi-row img {width: 72px; height: 72px; object-fit: cover; image-rendering: pixelated; border: 1px solid #767676}
.qsmi-bits {display: grid; grid-template-columns: repeat(12, 5px); gap: 1px; justify-content: center; margin-top: 2px}
.qsmi-bits i {height: 5px; background: #d5d5d5}
.qsmi-bits i.other {background: #b30000; outline: 1px solid #000}
</style>"""
NONE, N_EXAMPLES = "none", 20


def answers_page(query: Image.Image, answers_of: Mapping[str, tuple[Collection, Sequence[Answer]]]) -> str:
    """A query and its answers as HTML: thumbnails, names, distances, and one square for each bit, dark if it differs.

    Args:
        query: the picture.
        answers_of: the collection and the answers of each method, by its title.
    """
    parts = [STYLE, f'<ul class="qsmi-row"><li>{_figure(_source(query), "query", "your picture or example")}</li></ul>']
    for title, (collection, answers) in answers_of.items():
        shown = (
            _figure(
                _thumbnail(collection, answer.item),
                answer.name,
                f"{answer.distance} of {collection.codes.shape[1]} bits",
                _bits(answer.differing, collection.codes.shape[1]),
            )
            for answer in answers
        )
        items = "".join(f"<li>{figure}</li>" for figure in shown)
        parts.append(f'<h4>{html.escape(title)}</h4><ol class="qsmi-row">{items}</ol>')
    return "".join(parts)


def panel(collections: Mapping[str, Collection], examples: Collection, *, k: int = 10) -> ipywidgets.VBox:
    """An upload, a list of examples, a slider for the number of answers, and below them the answers of each method.

    A file that is not accepted gives a message in the page.

    Args:
        collections: title of each method -> the collection that it searches.
        examples: a collection; its first pictures are offered as queries, and the first one is searched at the start.
        k: number of answers at the start.
    """
    named, most = list(collections.items()), min(map(len, collections.values()))
    upload = ipywidgets.FileUpload(accept="image/*", description="Upload", tooltip="PNG, JPEG, WebP, BMP or TIFF")
    offered = [(f"{item + 1}: {examples.names[item]}", item) for item in range(min(N_EXAMPLES, len(examples)))]
    example = ipywidgets.Dropdown(options=[(NONE, None), *offered], description="Example")
    count = ipywidgets.IntSlider(
        value=min(k, most), min=1, max=min(50, most), description="Answers", continuous_update=False
    )
    message, page = ipywidgets.HTML(), ipywidgets.HTML()
    state: dict[str, Image.Image] = {}

    def search(read: Callable[[], Image.Image]) -> None:
        try:
            image = read()
            page.value = answers_page(image, {title: (c, c.search(image, count.value)) for title, c in named})
        except (OSError, ValueError) as error:  # also a file of the folder that has been deleted
            message.value = f'<p role="alert"><b>No search:</b> {html.escape(str(error))}</p>'
        else:
            state["query"], message.value = image, ""

    def uploaded(change) -> None:
        for file in change["new"]:
            example.value = None
            search(lambda file=file: opened(bytes(file["content"]), file["name"]))
        if change["new"]:
            upload.value = ()  # so that the same file can be chosen again

    def exemplified(change) -> None:
        if change["new"] is not None:
            search(lambda: examples.picture(change["new"]))

    def counted(_) -> None:
        if "query" in state:
            search(lambda: state["query"])

    upload.observe(uploaded, "value")
    example.observe(exemplified, "value")
    count.observe(counted, "value")
    example.value = 0
    about = ipywidgets.HTML(_about(named[0][1]))
    return ipywidgets.VBox([about, ipywidgets.HBox([upload, example, count]), message, page])


def _about(collection: Collection) -> str:
    """What is searched, how to read the answers, and a folded list of the files that are left out."""
    words = (
        f"<h3>Search by picture</h3><p>{len(collection):,} pictures: {html.escape(collection.title)}. The squares "
        "below an answer are the bits of its code; a dark square differs from the query.</p>"
    )
    if not collection.faults:
        return words
    faults = "".join(f"<li>{html.escape(fault)}</li>" for fault in collection.faults)
    return f"{words}<details><summary>Left out: {len(collection.faults):,}</summary><ul>{faults}</ul></details>"


def _figure(source: str, name: str, below: str, more: str = "") -> str:
    """A thumbnail, or a message if there is none, with its name and the text below it."""
    name = html.escape(name)
    shown = f'<img alt="{name}, {below}" src="{source}"/>' if source else "<p>The file is no longer readable.</p>"
    return f"<figure>{shown}<figcaption>{name}<br/>{below}{more}</figcaption></figure>"


@functools.lru_cache(maxsize=2000)
def _thumbnail(collection: Collection, item: int) -> str:
    """The picture of an answer as `_source`; empty if its file was deleted or changed after hashing."""
    try:
        return _source(collection.picture(item))
    except (OSError, ValueError):
        return ""


def _source(image: Image.Image) -> str:
    """A small copy of `image` as the source of an HTML image."""
    small = image.copy()
    small.thumbnail((2 * SIDE, 2 * SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _bits(differing: Sequence[int], bits: int) -> str:
    """One square for each bit; a label lists the differing bits for screen readers."""
    squares = "".join(f"<i{' class=other' if bit in differing else ''}></i>" for bit in range(bits))
    named = ", ".join(str(bit + 1) for bit in differing) or "none"
    named = f"differing bits: {named}"
    return f'<span class="qsmi-bits" role="img" title="{named}" aria-label="{named}">{squares}</span>'
