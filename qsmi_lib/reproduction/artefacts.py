"""Artefacts: results computed from several runs or their codes, and notes of the runs and settings they come from."""

import json

import pandas as pd

from qsmi_lib.training.provenance import require_commit
from qsmi_lib.training.records import Store
from qsmi_lib.utils.io import write_arrays, write_text
from qsmi_lib.utils.reading import read_arrays, read_json, read_table

MADE_BY = "made_by.json"  # name of an artefact -> the runs and settings it was made from
FORMAT = 1

Content = dict | pd.DataFrame


def save_artefact(store: Store, name: str, content: Content, made_by: dict) -> None:
    """Write an artefact into `store`, and note the runs and settings it was made from.

    Args:
        store: the folder of results.
        name: of the file; its suffix decides the format: .json (a dict), .csv (a table) or .npz (a dict of arrays).
        content: the artefact.
        made_by: `runs`, the ids of the runs, and the settings that the artefact depends on.
    """
    require_commit(store)
    path = store.artefact(name)
    if path.suffix == ".npz":
        write_arrays(path, **content)
    else:
        text = content.to_csv(index=False) if path.suffix == ".csv" else json.dumps(content, indent=1, allow_nan=False)
        write_text(path, text.rstrip("\n") + "\n")
    note_made_by(store, name, made_by)


def note_made_by(store: Store, name: str, made_by: dict) -> None:
    """Note the runs and settings that the artefact `name` was made from."""
    notes = _read_notes(store) | {name: {"format": FORMAT} | made_by}
    write_text(store.artefact(MADE_BY), json.dumps(dict(sorted(notes.items())), indent=1) + "\n")


def load_artefact(store: Store, name: str, form=None) -> Content:
    """An artefact that `save_artefact` wrote.

    Args:
        store: the folder of results.
        name: of the file.
        form: what it must look like, as `read_json`, `read_table` or `read_arrays` takes it; None: anything.

    Raises:
        FileNotFoundError: it does not exist; the message says how to make it.
        ValueError: it is damaged, or does not have that form; the message names the file.
    """
    path, command = store.existing(store.artefact(name)), f"`qsmi reproduce --profile {store.folder.name}`"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: {command} makes it")
    remedy = f"delete it: {command} makes it again"
    if path.suffix == ".npz":
        return read_arrays(path, form, remedy)
    return read_table(path, form or {}, remedy) if path.suffix == ".csv" else read_json(path, form or {}, remedy)


def is_current(store: Store, name: str, made_by: dict) -> bool:
    """Whether the artefact `name` exists and was made from these runs and settings."""
    return store.existing(store.artefact(name)).exists() and load_notes(store).get(name) == {"format": FORMAT} | made_by


def outdated(store: Store, made_by: dict[str, dict]) -> list[str]:
    """The artefacts of `store` whose notes differ from `made_by`, or that `made_by` does not contain.

    Args:
        store: the folder of results.
        made_by: name of an artefact -> the runs and settings it must be made from.
    """
    return [name for name in load_notes(store) if name not in made_by or not is_current(store, name, made_by[name])]


def load_notes(store: Store) -> dict[str, dict]:
    """Name of each artefact of `store` -> the runs and settings it was made from."""
    return (_read_notes(Store(store.committed)) if store.committed else {}) | _read_notes(store)


def _read_notes(store: Store) -> dict[str, dict]:
    """The notes in the folder of `store` itself."""
    path = store.artefact(MADE_BY)
    remedy = f"delete it: `qsmi reproduce --profile {store.folder.name}` makes the artefacts again"
    return read_json(path, {...: {}}, remedy) if path.exists() else {}
