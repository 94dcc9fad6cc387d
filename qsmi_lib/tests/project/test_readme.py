"""What README, docs and guides say works: their snippets run and their commands parse."""

import hashlib
import re
import shlex

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from qsmi_lib import configure, datasets, training
from qsmi_lib.cli import main
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.methods import METHODS
from qsmi_lib.models import backbones
from qsmi_lib.reproduction.experiments import EXPERIMENTS
from qsmi_lib.training.records import COMMITTED, load_record
from qsmi_lib.utils.paths import ROOT

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.md")),
]
TEXTS = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
BLOCKS = [
    (path.name, language, body)
    for path, text in TEXTS.items()
    for language, body in re.findall(r"```(\w*)\n(.*?)```", text, flags=re.DOTALL)
]
SNIPPETS = [pytest.param(body, id=f"{name}-{i}") for i, (name, kind, body) in enumerate(BLOCKS) if kind == "python"]
LINES = [line for _, kind, body in BLOCKS if kind == "" for line in body.splitlines()]
COMMANDS = [line.partition("#")[0] for line in LINES if re.match(r"(qsmi|python -m qsmi_lib) ", line)]


class Colours(torch.nn.Module):
    """Mean colours: in place of a backbone that a snippet would download."""

    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(3, 8)

    def forward(self, images):
        return self.dense(images.mean((2, 3)))


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """What a reader has where a snippet runs: a folder of pictures, one to search for, and the weights it names."""
    for number in range(24):
        path = tmp_path / "pictures" / ("red" if number % 2 else "green") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (200, 40, number) if number % 2 else (40, 200, number)).save(path)
    Image.new("RGB", (40, 30), (200, 40, 9)).save(tmp_path / "query.jpg")
    save_file(Colours().state_dict(), tmp_path / "colours.safetensors")
    files = {"colours.safetensors": hashlib.sha256((tmp_path / "colours.safetensors").read_bytes()).hexdigest()}
    colours = backbones.Backbone("Colours", Colours, lambda network: network, 8, 32, files, "", "nothing")
    monkeypatch.setitem(backbones.BACKBONES, "squeezenet1_1", colours)
    monkeypatch.setenv("QSMI_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets_run(snippet, reader, monkeypatch):
    names = {}
    exec(snippet, names)
    if "MINE" in names:
        monkeypatch.setitem(METHODS, "mine", names["MINE"])
        history = training.train(configure("digits", "mine", 12, epochs=3), datasets.load("digits")).history
        assert history[-1]["loss"] < history[0]["loss"]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line):
    words = shlex.split(line.removeprefix("python -m qsmi_lib").removeprefix("qsmi"))
    command = main
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    command.make_context("qsmi", words)


def test_make_has_the_targets_and_variables():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    words = "\n".join([*LINES, *re.findall(r"`([^`\n]+)`", "\n".join(TEXTS.values()))])
    for call in re.findall(r"^make ([^#\n]+)", words, flags=re.MULTILINE):
        for word in shlex.split(call):
            name, equals, _ = word.partition("=")
            assert f"\n{name} ?=" in makefile if equals else f"\n{name}:" in makefile, call


@pytest.mark.parametrize("profile", PROFILES)
def test_the_epochs_of_a_profile_are_those_of_its_runs(profile):
    epochs = [
        run.epochs
        for entry in EXPERIMENTS.values()
        for run in entry.grid(PROFILES[profile])
        if METHODS[run.method].loss
    ]
    [row] = re.findall(rf"^\| `{profile}` .*", TEXTS[ROOT / "docs" / "commands.md"], flags=re.MULTILINE)
    assert f"{len(PROFILES[profile].seeds)} seed" in row and f" {min(epochs)} to {max(epochs)} epochs" in row


def test_the_files_that_the_guides_name_exist():
    guides = "".join(text for path, text in TEXTS.items() if path.name != "CHANGELOG.md")
    files = set(re.findall(r"`((?:qsmi_lib|docs|data|notebooks)/[\w/]+(?:\.\w+)?)`", guides))
    assert files and {name for name in files if not (ROOT / name).exists()} == set()


def test_the_names_that_the_changelog_gives_exist():
    """Each new name, a module or what it defines: who reads the table looks there."""
    from importlib import import_module
    from importlib.util import find_spec

    rows = re.findall(r"^\| `[^`]+` \| `([^`]+)` \|$", TEXTS[ROOT / "CHANGELOG.md"], flags=re.MULTILINE)
    for row in rows:
        first, *others = row.removesuffix(".*").split(", ")
        try:
            is_module = find_spec(f"qsmi_lib.{first}") is not None
        except ModuleNotFoundError:
            is_module = False
        if not is_module:
            module, _, name = first.rpartition(".")
            assert all(hasattr(import_module(f"qsmi_lib.{module}"), one) for one in (name, *others)), row
    assert len(rows) > 50


def test_the_stated_numbers_of_commits_are_those_of_the_records():
    files = [path for kind in ("runs", "rotations") for path in (COMMITTED.folder / kind).glob("*.json")]
    made_by = [load_record(path)["provenance"] for path in files]
    by_hash = sum("commit_found" in one for one in made_by)
    without = sum(one.get("commit") is None for one in made_by)
    text = " ".join(TEXTS[ROOT / "docs" / "reliability.md"].split())
    assert f"Of the {len(files):,} committed records {len(files) - by_hash - without} named their commit" in text
    assert f"For {by_hash:,} the commit was found" in text and f"For {without} no commit matches" in text
