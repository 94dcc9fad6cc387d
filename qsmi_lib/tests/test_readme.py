"""What the README says works: its snippet runs, its commands parse, its files are there."""

import re
import shlex

import pytest

from qsmi_lib.cli import main
from qsmi_lib.paths import ROOT

TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, flags=re.DOTALL)
COMMANDS = re.findall(r"^python -m qsmi_lib ([^#\n]+)", "\n".join(body for _, body in BLOCKS), flags=re.MULTILINE)


SNIPPETS = [body for language, body in BLOCKS if language == "python"]


def test_the_second_snippet_hashes_features_of_a_network_of_ones_own():
    names = {}
    exec(SNIPPETS[1], names)
    assert names["inputs"].shape == (256, 128) and names["loss"].isfinite() and len(SNIPPETS) == 2


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
    assert len(COMMANDS) == 16


def test_make_has_the_targets():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make (?:\w+=\S+ )?(\w+)`", TEXT):
        assert f"\n{target}:" in makefile


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", TEXT))))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()
