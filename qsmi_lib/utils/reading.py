"""Files that are read back: checked before use, and refused by one form of message with file, reason and remedy.

Nothing in a file is executed. Its size is checked before it is read, and the sizes it claims before memory is taken.
"""

import io
import json
import math
import stat
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from textwrap import shorten
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import fastjsonschema
import numpy as np

from qsmi_lib.utils import paths
from qsmi_lib.utils.io import CHECKSUM, FORMAT, VERSION, checksum

if TYPE_CHECKING:  # what reads text alone needs neither
    import pandas as pd
    from torch import Tensor

LARGEST_TEXT = 2**26  # bytes of a JSON file or table
LARGEST_ARRAYS = 2**31  # bytes of the arrays of a file, unpacked
DEEPEST = 20  # objects and lists within each other, in JSON
WHOLE = 2**63  # whole numbers in JSON are smaller in size
TYPES = {float: "number", int: "integer", str: "string", bool: "boolean", None: "null"}  # as JSON Schema calls them

AGAIN = "delete it and run again"  # the remedy for what a run wrote
CLONE = "clone the repository again"  # the remedy for what comes with it


@dataclass(frozen=True)
class Between:
    """The form of a number from `least` to `most`, which are included."""

    least: float
    most: float


# What JSON must look like: `float` is any number, `int` a whole one, `object` anything; `str`, `bool` and None are
# themselves. A list has the form of its items, an object the forms of its values; of a tuple, one form must fit. A key
# that ends with "?" may be missing. The key `...` is for all keys that are not named; without it they may be anything.
Form = type | Between | None | list | tuple | dict[str | EllipsisType, Any]
Axes = Mapping[str, tuple[str, Sequence[int]]]  # name of an array -> kinds of dtype, possible numbers of axes


def damaged(path: Path, what: object, remedy: str = AGAIN) -> ValueError:
    """The error of a file that cannot be used: which file, what is wrong, what to do."""
    if paths.is_committed(path):
        remedy = f"restore it with `git checkout -- {path.relative_to(paths.ROOT).as_posix()}`, or {remedy}"
    return ValueError(f"{path} cannot be used: {shorten(str(what), 300)}; {remedy}")  # shorten also joins the lines


def later_format(path: Path, found: object, expected: object) -> ValueError:
    """The error of a file whose format is not the `expected` one."""
    return ValueError(f"{path} has format {found!r}, expected {expected!r}: a newer qsmi_lib wrote it; update qsmi_lib")


def read_json(path: Path, form: Form, remedy: str = AGAIN, *, version: int | None = None) -> Any:
    """The content of the JSON file `path`, which has the form `form`.

    Args:
        path: the file.
        form: see `Form`.
        remedy: what to do if the file is damaged, an imperative.
        version: the `format` that an object must have, if it has one; None: it is not looked at.

    Raises:
        FileNotFoundError, OSError: the file is not there, or cannot be read.
        ValueError: it is larger than `LARGEST_TEXT`, is not JSON of this form, or has a later format.
    """
    text = read_text(path, remedy)
    try:
        value = parse_json(text)
    except ValueError as error:
        raise damaged(path, f"it is not JSON: {error}", remedy) from error
    if version is not None and isinstance(value, dict) and value.get("format", version) != version:
        raise later_format(path, value["format"], version)
    if difference := differs(value, form):
        raise damaged(path, difference, remedy)
    return value


def parse_json(text: str) -> Any:
    """The value of the JSON `text`.

    Raises:
        ValueError: it is not JSON as the standard has it, or goes beyond the bounds: a number that is not finite or a
            whole number beyond `WHOLE`, a key twice, or more than `DEEPEST` levels.
    """
    try:
        value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_refused)
        _check_bounds(value)
    except RecursionError as error:
        raise ValueError(f"it has more than {DEEPEST} levels of brackets") from error
    return value


def differs(value: object, form: Form) -> str:
    """How `value` of JSON differs from `form`, as a clause; "" if it has that form."""
    try:
        _validator(json.dumps(_schema(form)))(value)
    except fastjsonschema.JsonSchemaValueException as error:
        place = f"it{error.name.removeprefix('data')}".removeprefix("it.")
        if error.rule == "anyOf":
            kinds = " or ".join(one["type"] for one in error.rule_definition)
            return f"{place} must be {kinds}, got {_short(error.value)}"
        what = f"{place}{error.message.removeprefix(error.name)}"
        return what if error.rule == "required" else f"{what}, got {_short(error.value)}"
    return ""


def _schema(form: Form) -> dict:
    """`form` as a JSON Schema."""
    if isinstance(form, tuple):
        each = [_schema(one) for one in form]
        plain = all(one.keys() == {"type"} for one in each)
        return {"type": [one["type"] for one in each]} if plain else {"anyOf": each}
    if isinstance(form, list):
        return {"type": "array", "items": _schema(form[0])}
    if isinstance(form, dict):
        names = [name for name in form if name is not ...]
        return {
            "type": "object",
            "required": [name for name in names if not name.endswith("?")],
            "properties": {name.removesuffix("?"): _schema(form[name]) for name in names},
            "additionalProperties": _schema(form.get(..., object)),
        }
    if isinstance(form, Between):
        return {"type": "number", "minimum": form.least, "maximum": form.most}
    return {} if form is object else {"type": TYPES[form]}


@cache
def _validator(schema: str) -> Callable[[object], object]:
    return fastjsonschema.compile(json.loads(schema), use_default=False)


def read_text(path: Path, remedy: str = AGAIN) -> str:
    """The UTF-8 text of `path`; a ValueError if it is none, is no file, or is larger than `LARGEST_TEXT`."""
    with _opened(path, remedy) as file:
        content = file.read(LARGEST_TEXT + 1)
    if len(content) > LARGEST_TEXT:
        raise damaged(path, f"it is larger than {LARGEST_TEXT:,} bytes", remedy)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise damaged(path, f"it is not text in UTF-8: {error}", remedy) from error


def read_table(path: Path, columns: Mapping[str, type], remedy: str = AGAIN, **options) -> "pd.DataFrame":
    """The CSV file `path` with at least these columns.

    Args:
        path: the file.
        columns: name -> `float` for numbers, which may be missing, or `object` for anything.
        remedy: what to do if the file is damaged, an imperative.
        options: of `pandas.read_csv`.

    Raises:
        FileNotFoundError, OSError: the file is not there, or cannot be read.
        ValueError: it is no such table.
    """
    import pandas as pd

    text = read_text(path, remedy)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of rows longer than the header
            rows = pd.read_csv(io.StringIO(text), index_col=False, **options)
    except Exception as error:  # the parser raises whatever the text makes it do
        raise damaged(path, f"it is not a table: {error}", remedy) from error
    if missing := [name for name in columns if name not in rows]:
        raise damaged(path, f"it lacks the columns {', '.join(missing)}", remedy)
    for name, kind in columns.items():
        if kind is float and not (pd.api.types.is_numeric_dtype(rows[name]) and not np.isinf(rows[name]).any()):
            raise damaged(path, f"its column {name} must hold finite numbers", remedy)
    return rows


def read_arrays(path: Path, expected: Axes | None = None, remedy: str = AGAIN) -> dict[str, np.ndarray]:
    """The arrays of the .npz file `path`.

    Args:
        path: the file.
        expected: name -> the kinds of its dtype, as letters of `numpy.dtype.kind`, and its possible numbers of axes;
            None: all arrays of the file, of numbers and text.
        remedy: what to do if the file is damaged, an imperative.

    Raises:
        FileNotFoundError, OSError: the file is not there, or cannot be read.
        ValueError: it is damaged, its arrays have more than `LARGEST_ARRAYS` bytes, or they are not as expected.
    """
    with _opened(path, remedy) as file:
        try:
            with zipfile.ZipFile(file) as members:
                return _arrays(members, expected)
        except Exception as error:  # damaged bytes raise whatever they happen to say
            raise damaged(path, f"it is no file of arrays: {_reason(error)}", remedy) from error


def map_array(path: Path, mode: str = "c", remedy: str = AGAIN) -> np.memmap:
    """The array of numbers in the .npy file `path`, mapped into memory.

    Args:
        path: the file.
        mode: "c", where changes stay in memory, or "r+", where they are written to the file.
        remedy: what to do if the file is damaged, an imperative.

    Raises:
        FileNotFoundError, OSError: the file is not there, or cannot be read.
        ValueError: it is damaged, or its size is not that of the array.
    """
    with _opened(path, remedy) as file:
        try:
            shape, columns_first, dtype = _header(file)
            n_bytes, offset = math.prod(shape) * dtype.itemsize, file.tell()
            if (size := file.seek(0, 2)) != offset + n_bytes:
                raise ValueError(f"an array of shape {shape} and {dtype} needs {offset + n_bytes} bytes, got {size}")
            return np.memmap(path, dtype, mode, offset, shape, "F" if columns_first else "C")
        except Exception as error:  # as in `read_arrays`
            raise damaged(path, f"it is no array: {_reason(error)}", remedy) from error


def read_tensors(
    path: Path, remedy: str = AGAIN, *, needs_checksum: bool = True
) -> "tuple[dict[str, Tensor], dict[str, str]]":
    """The tensors and the header of the safetensors file `path`, in memory on the CPU.

    Args:
        path: the file.
        remedy: what to do if the file is damaged, an imperative.
        needs_checksum: whether the header must have the checksum of the tensors, see `io.write_tensors`. Where it has
            one, it is compared in any case.

    Raises:
        FileNotFoundError, OSError: the file is not there, or cannot be read.
        ValueError: it is cut or no safetensors file, has a later format, or its tensors are not those of its checksum.
    """
    from safetensors import safe_open

    _opened(path, remedy).close()  # errors of the system name the file
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        got = checksum(tensors) if needs_checksum or CHECKSUM in header else None
    except Exception as error:  # as in `read_arrays`
        raise damaged(path, f"it is no file of tensors: {_reason(error)}", remedy) from error
    if (found := header.pop(FORMAT, VERSION)) != VERSION:
        raise later_format(path, found, VERSION)
    expected = header.pop(CHECKSUM, None)
    if got != expected:
        raise damaged(path, f"its tensors must have the checksum {expected}, got {got}", remedy)
    return tensors, header


def _opened(path: Path, remedy: str) -> io.BufferedReader:
    """`path` open for reading bytes; a ValueError if it is no file, but a pipe or a device, which may never end."""
    mode = path.stat().st_mode  # an OSError, as of `open`, names the file
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise damaged(path, f"it is {what}, expected a file", remedy)
    return path.open("rb")


def _arrays(members: zipfile.ZipFile, expected: Axes | None) -> dict[str, np.ndarray]:
    """The arrays of `members`, all headers checked first."""
    names = [info.filename for info in members.infolist()]
    wanted = {f"{name}.npy": name for name in expected} if expected else {n: n.removesuffix(".npy") for n in names}
    if missing := sorted(wanted.keys() - set(names)):
        raise ValueError(f"it lacks {', '.join(wanted[name] for name in missing)}")
    if len(set(names)) != len(names):
        raise ValueError("it has a name twice")
    if (total := sum(members.getinfo(name).file_size for name in wanted)) > LARGEST_ARRAYS:
        raise ValueError(f"its arrays have {total:,} bytes, expected at most {LARGEST_ARRAYS:,}")
    for member, name in wanted.items():
        with members.open(member) as file:
            shape, _, dtype = _header(file)
            n_bytes = members.getinfo(member).file_size - file.tell()
        if math.prod(shape) * dtype.itemsize != n_bytes:
            raise ValueError(f"{name} of shape {shape} and {dtype} does not have the {n_bytes} bytes that are there")
        kinds, axes = expected[name] if expected else (dtype.kind, [len(shape)])
        if dtype.kind not in kinds or len(shape) not in axes:
            of_kind = f"{' or '.join(map(str, axes))} axes of kind {' or '.join(kinds)}"
            raise ValueError(f"{name} has shape {shape} and {dtype}, expected {of_kind}")
    arrays = {}
    for member, name in wanted.items():
        with members.open(member) as file:
            arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
            file.read(1)  # at the end, so that the checksum of the zip is compared
    return arrays


def _header(file) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and dtype of the array that begins here; only numbers and text are taken."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the format of arrays, expected 1.0 or 2.0")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, columns_first, dtype = read(file)
    except Exception as error:  # it is text in Python's syntax, whose parser raises whatever the text makes it do
        raise ValueError("its header is not that of an array") from error
    if dtype.kind not in "biufU" or dtype.itemsize == 0 or not all(0 <= n < WHOLE for n in shape):
        raise ValueError(f"an array of shape {shape} and {dtype}, expected numbers or text")
    return shape, columns_first, dtype


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object has a key twice")
    return value


def _refused(text: str) -> None:
    raise ValueError(f"{text} is not a finite number")


def _check_bounds(value: object) -> None:
    """A ValueError where a number is too large, or where there are more than `DEEPEST` levels."""
    level = [value]
    for _ in range(DEEPEST + 1):
        whole = [each for each in level if type(each) is int]
        if not all(map(math.isfinite, (each for each in level if type(each) is float))):
            raise ValueError("a number is not finite")
        if whole and not -WHOLE < min(whole) <= max(whole) < WHOLE:
            raise ValueError("a whole number is too large")
        inside = [each if type(each) is list else each.values() for each in level if type(each) in (list, dict)]
        if not inside:
            return
        level = [*chain.from_iterable(inside)]
    raise RecursionError


def _short(value: object) -> str:
    """The kind of `value` for a message, or `value` itself if it is short."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
