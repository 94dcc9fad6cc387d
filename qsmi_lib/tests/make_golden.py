"""Golden numbers: what small runs on the digits, `evaluate` and the splits give; `test_golden` compares them.

``python -m qsmi_lib.tests.make_golden`` adds the cases that golden/*.json do not have yet, and drops those that are no
more. ``--fresh`` computes all of them again, after a change that is meant to change what is computed.
"""

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from qsmi_lib import configure, datasets
from qsmi_lib.codes import code_statistics
from qsmi_lib.evaluation import evaluate
from qsmi_lib.losses import cnnh_codes, hash_centers, item_centers
from qsmi_lib.methods import METHODS
from qsmi_lib.models.rotation import search
from qsmi_lib.training import encode, load_split, train
from qsmi_lib.training.runs import scores

FOLDER = Path(__file__).parent / "golden"
BITS = 16
SPRING_FORMS = ("margin_spring", "margin", "likelihood", "negatives", "dtsh")
# Methods that compute with the labels themselves, and two that take the relevance of pairs.
OF_SEVERAL_LABELS = ("qsmi_priors", "qsmi_jaccard", "csq", "csq_qsmi", "cnnh", "classifier", "qsmi_u", "qsmi", "spring")
DATA_SETS = ("cifar10", "digit_pairs", "digits", "fashion_mnist", "ilsvrc", "miml_scenes", "ms_coco", "nus_wide")
DATA_SETS += ("tiny_imagenet_32",)

RUNS = {  # name of the case -> data set, method, settings
    **{method: ("digits", method, {}) for method in METHODS},
    **{f"digit_pairs {method}": ("digit_pairs", method, {}) for method in OF_SEVERAL_LABELS},
    **{f"spring {form}": ("digits", "spring", {"form": form}) for form in SPRING_FORMS},
    "dch code": ("digits", "dch", {"form": "code"}),
    "hashnet late": ("digits", "hashnet", {"epochs": 3, "batch_size": 8}),  # 489 steps: beta changes twice
    "qsmi cosine": ("digits", "qsmi", {"epochs": 4, "schedule": "cosine"}),
    "qsmi memory": ("digits", "qsmi", {"memory": 2}),
    **{f"qsmi {change}": ("digits", "qsmi", {"augmentation": change}) for change in ("shift", "flip", "flip_shift")},
    "qsmi 48 bits": ("digits", "qsmi", {"bits": 48}),
    "dpsh 48 bits": ("digits", "dpsh", {"bits": 48}),  # eta depends on the number of bits
    "csq 12 bits": ("digits", "csq", {"bits": 12}),  # random centers
    "qsmi seed 1": ("digits", "qsmi", {"seed": 1}),
    "qsmi draw 1": ("digits", "qsmi", {"draw": 1}),
    "qsmi unseen_3": ("digits", "qsmi", {"protocol": "unseen_3"}),
    "qsmi bf16": ("digits", "qsmi", {"precision": "bf16"}),
    "qsmi features": ("digits", "qsmi", {"backbone": "digits_labels"}),
    "qsmi wide": ("digits", "qsmi", {"backbone": "digits_pixels", "head": "wide"}),
    "csq csq": ("digits", "csq", {"backbone": "digits_pixels", "head": "csq", "epochs": 1}),
    "itq features": ("digits", "itq", {"backbone": "digits_pixels"}),
    "qsmi end to end": ("digits", "qsmi", {"backbone": "digits_pixels", "backbone_learning_rate": 1e-4}),
}


def of_digits(config):
    """The split of a run on the digits or their pairs."""
    backbone = "" if config.backbone_learning_rate else config.backbone
    return load_split(config.dataset, draw=config.draw, protocol=config.protocol, backbone=backbone)


def run(case):
    """Losses and measures of each epoch, scores, and the codes of the first 20 queries."""
    dataset, method, settings = RUNS[case]
    settings = {"bits": BITS, "precision": "float32"} | ({"epochs": 2} if METHODS[method].loss else {}) | settings
    config = configure(dataset, method, **settings)
    split = of_digits(config)
    trained = train(config, split)
    query = encode(trained.model, split.query.inputs, precision=trained.precision, batch_size=64)  # a short last batch
    database = encode(trained.model, split.database.inputs, precision=trained.precision)
    scored = evaluate(query, database, split.query.labels, split.database.labels)
    measures = [name for name in (trained.history[0] if trained.history else {}) if name != "epoch"]
    return {
        "run_id": config.run_id(split.fingerprint),
        "history": {name: [float(f"{epoch[name]:.7g}") for epoch in trained.history] for name in measures},
        "scores": {name: round(getattr(scored, name), 5) for name in ("map_11pt", "map", "precision_radius2")},
        "codes": packed(query[:20]),
    }


def packed(codes):
    """Codes (n, bits) as hexadecimal digits, a word each."""
    return [np.packbits(code > 0).tobytes().hex() for code in np.asarray(codes)]


EVALUATIONS = {  # name of the case -> bits, several labels, relevance
    **{f"{bits} bits, one label": (bits, False, "share-one") for bits in (12, 48, 70)},
    **{f"{bits} bits, labels, {rule}": (bits, True, rule) for bits in (12, 48) for rule in ("share-one", "fraction")},
}
N_QUERY, N_DATABASE = 25, 200


def octets(name, *shape):
    """Numbers from 0 to 255 that depend on `name` alone, not on the version of NumPy: int64."""
    digest = hashlib.shake_256(name.encode()).digest(int(np.prod(shape)))
    return np.frombuffer(digest, np.uint8).astype(np.int64).reshape(shape)


def codes_and_labels(bits, several_labels):
    """Query codes, database codes, query labels and database labels; one query has nothing relevant.

    An item has a word of its class, a fifth of whose bits are changed.
    """
    words = np.where(octets("words", 5, bits) < 128, 1, -1)
    codes, labels = [], []
    for part, n in {"query": N_QUERY, "database": N_DATABASE}.items():
        classes = octets(f"{part} classes", n) % 5
        codes.append((words[classes] * np.where(octets(f"{part} codes", n, bits) < 51, -1, 1)).astype(np.int8))
        labels.append(np.eye(5, dtype=np.int64)[classes] | (octets(f"{part} labels", n, 5) < 40))
        labels[-1] = labels[-1] if several_labels else classes
    labels[0][-1] = 0 if several_labels else 5
    return *codes, *labels


def evaluation(case):
    """Every field of `Evaluation`, and the two that `ties="expected"` changes."""
    bits, several_labels, rule = EVALUATIONS[case]
    arguments = codes_and_labels(bits, several_labels)
    index, expected = (
        evaluate(*arguments, k=[1, 10, N_DATABASE], relevance=rule, ties=ties) for ties in ("index", "expected")
    )
    fields = index.to_record() | {"ap": index.ap.tolist()}
    return fields | {"expected": {"map": expected.map, "ap": expected.ap.tolist()}}


def record_scores(case):
    """The scores and the statistics of codes as a record carries them."""
    query, database, *labels = codes_and_labels(12, several_labels=case == "labels")
    scored = scores(*map(torch.from_numpy, (query, database, *labels)))
    return json.loads(json.dumps(scored)) | {"codes": code_statistics(database)}


_OF_ANY_LABELS = ("full", "held_out", "reduced", "reduced_held_out", "first_tenth")
_OF_ONE_LABEL = ("unseen_2", "unseen_3", "n_way_5", "unbalanced")
SPLITS = [f"digits {protocol} draw {draw}" for protocol in _OF_ANY_LABELS + _OF_ONE_LABEL for draw in (0, 1)]
SPLITS += [f"digit_pairs {protocol} draw {draw}" for protocol in _OF_ANY_LABELS for draw in (0, 1)]
SPLITS += ["digits sampled draw 0", "digits sampled_all draw 0"]  # a committed list


def split(case):
    """The fingerprint of a split, and the size, first labels and checksum of each part."""
    dataset, protocol, _, draw = case.split()
    divided = datasets.load(dataset, protocol=protocol, draw=int(draw))
    return {"fingerprint": divided.fingerprint, "classes": list(divided.classes)} | {
        name: {
            "n": len(part),
            "labels": (part.labels if part.labels.ndim == 1 else part.labels.argmax(dim=1))[:10].tolist(),
            "checksum": hashlib.sha256(part.inputs.numpy().tobytes() + part.labels.numpy().tobytes()).hexdigest()[:16],
        }
        for name, part in {"train": divided.train, "query": divided.query, "database": divided.database}.items()
    }


def configurations(dataset):
    """Of each method the hashes of its configurations for 12 and 48 bits: all of its defaults."""
    return {m: " ".join(configure(dataset, m, bits).run_id("")[-10:] for bits in (12, 48)) for m in METHODS}


def labels_of_digits(dataset):
    return datasets.load(dataset).train.labels


METHOD_PARTS = {  # what methods take beside the batch
    "HashNet's continuation": lambda: [METHODS["hashnet"].on_step(step)["beta"] for step in (0, 199, 200, 1000, 9999)],
    "hash centers, 16 bits": lambda: packed(hash_centers(10, 16)),
    "hash centers, 12 bits": lambda: packed(hash_centers(10, 12, seed=1)),
    "hash centers, 4 bits": lambda: packed(hash_centers(10, 4)),
    "centers of items": lambda: packed(item_centers(labels_of_digits("digit_pairs")[:20], 16, seed=1)),
    "CNNH's codes": lambda: packed(cnnh_codes(labels_of_digits("digits"), 16)[:20]),
    "CNNH's codes, several labels": lambda: packed(cnnh_codes(labels_of_digits("digit_pairs"), 12, seed=1)[:20]),
}


def rotation(start):
    """A short search from `start`."""
    *codes, query_labels, database_labels = codes_and_labels(12, several_labels=False)
    noise = (octets("query noise", N_QUERY, 12) / 128 - 1, octets("database noise", N_DATABASE, 12) / 128 - 1)
    embeddings = (code + 1.5 * shift for code, shift in zip(codes, noise, strict=True))
    turned = search(*embeddings, query_labels, database_labels, start=start, n_steps=20)
    return {"before": turned.before, "history": turned.history.tolist(), "rotation": turned.rotation.tolist()}


PARTS = {  # file -> names of its cases, and what computes one
    "runs": (list(RUNS), run),
    "evaluation": (list(EVALUATIONS), evaluation),
    "record_scores": (["one label", "labels"], record_scores),
    "splits": (SPLITS, split),
    "configurations": (DATA_SETS, configurations),
    "method_parts": (list(METHOD_PARTS), lambda case: METHOD_PARTS[case]()),
    "rotation": (["itq", "identity"], rotation),
}


def golden(part):
    """The committed numbers of a part, case by case."""
    file = FOLDER / f"{part}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def main(*, fresh):
    """Write the cases that are missing, or all; one line a case."""
    torch.set_num_threads(1)
    for part, (cases, compute) in PARTS.items():
        known = {} if fresh else golden(part)
        numbers = {case: known[case] if case in known else compute(case) for case in cases}
        lines = [f"{json.dumps(case)}: {json.dumps(value)}" for case, value in numbers.items()]
        (FOLDER / f"{part}.json").write_text("{" + ",\n ".join(lines) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as results:
        os.environ["QSMI_RESULTS"] = results  # features of this run alone
        main(fresh="--fresh" in sys.argv[1:])
