"""The UIT slides' tables beside ours, and the steps between them: pure functions of artefacts and records."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from qsmi_lib.reproduction.analysis.uit import FILE
from qsmi_lib.reproduction.tables import cells
from qsmi_lib.reproduction.titles import PROTOCOL_TITLES
from qsmi_lib.utils import paths

# The rungs from the slides to the clean protocol and on, each with one change: title -> setting, convention.
LADDER = {
    "as published": ("as published", "published"),
    "ties by index": ("ties by index", "published"),
    "no padding": ("ties by index", "clean"),
    "all pictures": ("all pictures", "clean"),
    "scikit-image's HOG": ("scikit-image's HOG", "clean"),
    "centred": ("centred", "clean"),
}
HEADINGS = {"paper": "published", "printed": "source", "mean": "ours", "short": "short answers"}
HEADINGS |= {"learning_rate": "learning rate"}
FORMATS = {"z": "+.1f", "change": "+.4f", "alpha": "g", "learning_rate": "g"}


def committed(file: str = FILE) -> dict:
    """What `lsh_tables` wrote, or, for `DSH_FILE`, `dsh_settings`: as the repository carries it."""
    return json.loads((paths.COMMITTED / "artefacts" / file).read_text(encoding="utf-8"))


def published(table: int) -> pd.DataFrame:
    """The slides' Table 1 (`tables`, `bits`, `paper`, `printed`) or Table 2 (`alpha`, `bits`, `paper`).

    Table 1 goes on with those that the script behind the slides prints and the slides do not: `printed` is False.
    """
    files = {1: ("uit_table_1", "uit_script"), 2: ("uit_table_2",)}[table]
    rows = pd.concat([pd.read_csv(paths.PUBLISHED / f"{file}.csv") for file in files], ignore_index=True)
    value = rows["note"].str.extract(r"([\d.]+)")[0].astype(float)
    if table == 2:
        return pd.DataFrame({"alpha": value, "bits": rows["bits"], "paper": rows["mean"]})
    columns = {"tables": value.astype(int), "bits": rows["bits"], "paper": rows["mean"]}
    printed = rows["source"] == "uit"
    return pd.DataFrame(columns | {"printed": printed}).sort_values(["tables", "bits"], ignore_index=True)


def table_1(measured: dict) -> pd.DataFrame:
    """Table 1 beside ours, as published: a row a cell.

    Args:
        measured: what `lsh_tables` returned.

    Returns:
        `tables`, `bits`, `paper`, `printed` (False where only the script has it), `seeds`, `mean` and `std` over seeds,
        `z`, their one draw of directions against the spread of ours, and `short`, the share of short answers.
    """
    rows = []
    ours = {(cell["tables"], cell["bits"]): cell for cell in measured["settings"]["as published"]["cells"]}
    for row in published(1).to_dict("records"):
        own = ours[row["tables"], row["bits"]]
        mean, std = np.mean(own["published"]), np.std(own["published"], ddof=1)
        row |= {"seeds": len(own["published"]), "mean": mean, "std": std}
        rows.append(row | {"z": (row["paper"] - mean) / std if std else math.nan, "short": np.mean(own["short"])})
    return pd.DataFrame(rows)


def ladder(measured: dict) -> pd.DataFrame:
    """Table 1 changed one thing at a time: a row a cell and rung.

    Returns:
        `tables`, `bits`, `rung`, `mean` and `std` over seeds, and `change` from the rung before; that of the first rung
        is from the slides' number.
    """
    rows, before = [], published(1).set_index(["tables", "bits"])["paper"].to_dict()
    for rung, (setting, convention) in LADDER.items():
        for cell in measured["settings"][setting]["cells"]:
            key = cell["tables"], cell["bits"]
            mean, std = np.mean(cell[convention]), np.std(cell[convention], ddof=1)
            row = {"tables": key[0], "bits": key[1], "rung": rung, "mean": mean, "std": std}
            rows.append(row | {"change": mean - before[key]})
            before[key] = mean
    return pd.DataFrame(rows)


def table_2(profile: str = "paper", where: Path = paths.COMMITTED / "runs") -> pd.DataFrame:
    """Table 2 beside ours, from the records of the experiment "uit_dsh" that exist: a row a cell and protocol.

    Returns:
        `protocol`, `alpha`, `bits`, `paper`, `seeds`, `mean` and `std` over seeds (nan where there are too few). The
        slides' numbers are of a tenth of the data; they stand beside both protocols.
    """
    ours = cells("uit_dsh", profile, where).rename(columns={"map_at_10": "mean", "map_at_10_std": "std"})
    beside = ours.merge(published(2), on=["alpha", "bits"], how="left")
    return beside[["protocol", "alpha", "bits", "paper", "seeds", "mean", "std"]]


def dsh_settings(made: dict) -> pd.DataFrame:
    """What the settings that the slides leave open move: a row a setting.

    Args:
        made: what `uit.dsh_settings` returned.

    Returns:
        `setting`, `learning_rate`, `alpha`, `seeds`, `mean` and `std` over seeds, and `change`, the mean less that of
        the first setting.
    """
    rows, first = [], next(iter(made["settings"].values()))["map_at_10"]
    for title, own in made["settings"].items():
        scores = np.array(own["map_at_10"])
        row = {"setting": title, "learning_rate": own["learning_rate"], "alpha": own["alpha"], "seeds": len(scores)}
        rows.append(row | {"mean": scores.mean(), "std": scores.std(ddof=1), "change": (scores - first).mean()})
    return pd.DataFrame(rows)


def markdown(rows: pd.DataFrame | list[dict]) -> str:
    """Rows of this module, or others of such names, for people: scores with four digits, a dash where there is none."""

    def told(name: str, number: object) -> str:
        if name == "protocol":
            return PROTOCOL_TITLES[number]
        if isinstance(number, bool):
            return "slides" if number else "script"
        if not isinstance(number, float):
            return str(number)
        return "–" if math.isnan(number) else f"{number:{FORMATS.get(name, '.4f')}}"

    lines = [
        {name: told(name, number) for name, number in row.items()} for row in pd.DataFrame(rows).to_dict("records")
    ]
    return pd.DataFrame(lines).rename(columns=HEADINGS).to_markdown(index=False, disable_numparse=True)
