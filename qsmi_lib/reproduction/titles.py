"""Titles of settings and metrics in tables and figures."""

import math

import pandas as pd

from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES

METRIC_TITLES = {
    "map_11pt": "mAP (11 points)",
    "map": "mAP (whole ranking)",
    "precision_radius2": "precision (radius 2)",
    "empty_radius2": "empty balls (radius 2)",
    "map_at_10": "mAP@10 (over hits)",
    "precision_at_10": "precision of the first ten",
    "qsmi": "QSMI after the last epoch",
    "share_one_map_11pt": "mAP (11 points), any shared label",
    "share_one_map": "mAP (whole ranking), any shared label",
    "share_one_precision_radius2": "precision (radius 2), any shared label",
    "share_one_map_at_500": "mAP@500 (over hits), any shared label",
    "share_one_map_at_500_clean": "mAP@500 (over min(R, 500)), any shared label",
}
PROTOCOL_TITLES = {
    "full": "all training items",
    "reduced": "reduced training set",
    "first_tenth": "first tenth of all",
    "n_way_5": "5 classes",
    "n_way_20": "20 classes",
    "unbalanced": "unbalanced",
    "held_out": "a tenth held out",
    "reduced_held_out": "reduced, a tenth held out",
    "sampled": "database: the rest",
    "sampled_all": "database: the rest and the training items",
    "unseen_2": "2 unseen classes",
    "unseen_3": "3 unseen classes",
}
HEAD_TITLES = {"narrow": "64 hidden", "wide": "2,048 hidden", "csq": "CSQ's own"}
STEP_TITLES = {
    "qsmi_priors": "true priors",
    "constant": "constant rate over {epochs:g} epochs",
    "cosine": "cosine over {epochs:g} epochs",
    "shift": "shifts by a pixel",
    "flip": "mirrored half the time",
    "flip_shift": "mirrored, and shifts by a pixel",
}


def setting_title(name: str, value: object) -> str:
    """The value of a setting as a table prints it."""
    if name == "method":
        return METHODS[value].title
    if name == "information_needs":
        return "from the batch" if value is None or math.isnan(value) else f"M = {value:g}"
    if name == "protocol":
        return PROTOCOL_TITLES[value]
    if name == "backbone":
        return BACKBONES[value].title
    if name == "head":
        return HEAD_TITLES[value]
    return value if isinstance(value, str) else "–" if pd.isna(value) else f"{value:g}"
