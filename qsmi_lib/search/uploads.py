"""Uploaded pictures: anything may be uploaded, so each file is checked before it is decoded."""

from PIL import Image

from qsmi_lib.datasets.images import decoding


def opened(content: bytes, name: str, side: int | None = None) -> Image.Image:
    """The picture in a file's `content`, in RGB and upright; `side` is that of `decoding.read`.

    Raises:
        ValueError: not a picture that `decoding.read` accepts, an animation, or several pages. The message names the
            file and says what is expected.
    """
    try:
        return decoding.read(content, side, still=True)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as a picture ({error})") from error
