"""What the READMEs say works: their snippets run, their commands parse, their files are there."""

import json
import re
import shlex
import subprocess

import pytest

from qsmi_lib.cli import main
from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.datasets import load
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.experiments import EXPERIMENTS, grid
from qsmi_lib.training.loop import train
from qsmi_lib.utils.paths import ROOT

TEXT = (ROOT / "README.md").read_text()
DATA = (ROOT / "data" / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT + DATA, flags=re.DOTALL)
COMMANDS = re.findall(r"^python -m qsmi_lib ([^#\n]+)", "\n".join(body for _, body in BLOCKS), flags=re.MULTILINE)


SNIPPETS = [body for language, body in BLOCKS if language == "python"]


def test_the_second_snippet_hashes_features_of_a_network_of_ones_own():
    names = {}
    exec(SNIPPETS[1], names)
    assert names["inputs"].shape == (256, 128) and names["loss"].isfinite() and len(SNIPPETS) == 4


def test_the_third_snippet_is_a_pipeline(capsys):
    names = {}
    exec(SNIPPETS[2], names)
    assert names["codes"].shape == (450, 24) and names["items"].shape == (450, 10)
    assert 0.5 < float(capsys.readouterr().out) <= 1


def test_the_fourth_snippet_is_a_method_that_learns(monkeypatch):
    names = {}
    exec(SNIPPETS[3], names)
    monkeypatch.setitem(METHODS, "mine", names["MINE"])
    history = train(configure("digits", "mine", 12, epochs=3), load("digits")).history
    assert history[-1]["loss"] < history[0]["loss"]


def test_the_first_snippet_runs(capsys):
    exec(SNIPPETS[0], {})
    numbers = [float(word) for word in capsys.readouterr().out.split()]
    assert len(numbers) == 4 and all(0 < number < 1 for number in numbers)


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_parse(line):
    words = shlex.split(line)
    command = main
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    command.make_context("qsmi_lib", words)


def test_there_are_commands_to_check():
    assert len(COMMANDS) == 20


@pytest.mark.parametrize("profile", PROFILES)
def test_the_epochs_of_a_profile_are_those_of_its_runs(profile):
    runs = [run for name in EXPERIMENTS for run in grid(name, profile) if METHODS[run.method].loss]
    epochs = [run.epochs for run in runs]
    [row] = re.findall(rf"^\| `{profile}` .*", TEXT, flags=re.MULTILINE)
    assert f"{len(PROFILES[profile].seeds)} seed" in row and f" {min(epochs)} to {max(epochs)} epochs" in row


def test_the_hours_of_the_paper_profile_are_half_of_what_its_records_took():
    [hours] = re.findall(r"from nothing about (\d+) hours with `--jobs 2`", TEXT)
    found = [json.loads(path.read_text()) for path in (ROOT / "results" / "paper").glob("r*/*.json")]
    seconds = sum(n for own in found for name, n in own["provenance"].items() if name.startswith("seconds_"))
    assert len(found) > 1500 and int(hours) == pytest.approx(seconds / 2 / 3600, abs=1)


def test_make_has_the_targets():
    makefile = (ROOT / "Makefile").read_text()
    for variable in re.findall(r"`make[^`]*\s(\w+)=|`(\w+)=1`", TEXT):
        assert f"\n{''.join(variable)} ?= " in makefile
    for target in re.findall(r"`make (?:\w+=\S+ )?([\w-]+)`", TEXT):
        assert f"\n{target}:" in makefile


LINKS = [
    (folder, link)
    for folder, text in ((ROOT, TEXT), (ROOT / "data", DATA))
    for link in re.findall(r"\]\(([^)]+)\)", text)
]


@pytest.mark.parametrize(("folder", "link"), sorted(set(LINKS)), ids=str)
def test_links_lead_somewhere(folder, link):
    assert (folder / link).exists()
    if (ROOT / ".git").exists():  # what is here and ignored would lack in a clone
        listed = subprocess.run(["git", "ls-files", "--", str(folder / link)], cwd=ROOT, capture_output=True)
        assert listed.stdout or listed.returncode  # git may refuse a folder that is another user's
