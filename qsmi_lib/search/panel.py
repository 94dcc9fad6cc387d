"""The search as a page: a picture of one's own or an example, and what each method answers, in notebook and app."""

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


def answers_page(query: Image.Image, found: Mapping[str, tuple[Collection, Sequence[Answer]]]) -> str:
    """A query and its answers as HTML: thumbnails, names, distances, and a square a bit, dark where it differs.

    Args:
        query: the picture that was searched for.
        found: method -> its collection, and its answers.
    """
    parts = [STYLE, f'<ul class="qsmi-row"><li>{_figure(_source(query), "query", "searched for")}</li></ul>']
    for title, (collection, answers) in found.items():
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
    """An upload, examples, a slider for how many answers, and below the answers of each method, side by side.

    A file that is no picture, or not one to be searched for, gives a message in the page.

    Args:
        collections: method -> what it searches.
        examples: of whose first pictures one can be taken; the very first is searched for at once.
        k: answers at first.
    """
    named, most = list(collections.items()), min(map(len, collections.values()))
    upload = ipywidgets.FileUpload(accept="image/*", description="Own picture", tooltip="PNG, JPEG, WebP, BMP or TIFF")
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
            page.value = answers_page(image, {name: (own, own.search(image, count.value)) for name, own in named})
        except (OSError, ValueError) as error:  # also of a folder's file that has gone since
            message.value = f'<p role="alert"><b>Not searched:</b> {html.escape(str(error))}</p>'
        else:
            state["query"], message.value = image, ""

    def uploaded(change) -> None:
        for file in change["new"]:
            example.value = None
            search(lambda file=file: opened(bytes(file["content"]), file["name"]))
        if change["new"]:
            upload.value = ()  # else the same file cannot be chosen again

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
    """What is searched, how the answers are read, and, folded, the files that are left out."""
    words = (
        f"<h3>Search by picture</h3><p>{len(collection):,} pictures: {html.escape(collection.title)}. Below each "
        "answer stand the bits of its code, a square each, dark where they differ from the query's.</p>"
    )
    if not collection.faults:
        return words
    faults = "".join(f"<li>{html.escape(fault)}</li>" for fault in collection.faults)
    return f"{words}<details><summary>Left out: {len(collection.faults):,}</summary><ul>{faults}</ul></details>"


def _figure(source: str, name: str, below: str, more: str = "") -> str:
    """A thumbnail, or words where there is none, with its name and what stands below it."""
    name = html.escape(name)
    shown = f'<img alt="{name}, {below}" src="{source}"/>' if source else "<p>The file cannot be read any more.</p>"
    return f"<figure>{shown}<figcaption>{name}<br/>{below}{more}</figcaption></figure>"


@functools.lru_cache(maxsize=2000)
def _thumbnail(collection: Collection, item: int) -> str:
    """The picture of an answer, as `_source`; nothing where its file has gone or changed since it was hashed."""
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
    """A square a bit; the differing ones are named for who cannot see them."""
    squares = "".join(f"<i{' class=other' if bit in differing else ''}></i>" for bit in range(bits))
    named = ", ".join(str(bit + 1) for bit in differing) or "none"
    named = f"differing bits: {named}"
    return f'<span class="qsmi-bits" role="img" title="{named}" aria-label="{named}">{squares}</span>'
