"""The documents say what is true: verbs, commands, the site example; the version and the pins stand in one place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from packaging.version import Version
from tree import files, sources, text_of
from typer.testing import CliRunner

import vision
from vision.cli import app
from vision.site import load_site

README = text_of(Path("README.md"))
PROJECT = tomllib.loads(text_of(Path("pyproject.toml")))["project"]
VERBS = {"calibrate", "demo", "replay", "check", "draw", "events", "export", "eval", "diff", "doctor", "models"}
ENTRY_LINES = 25

#: What must not stand in a file that others get; put together so that it does not stand in this one.
FOREIGN = tuple(f"/{name}/" for name in ("root", "work", "home")) + tuple(
    ".".join(parts) for parts in (("pypi", "org"), ("files", "pythonhosted", "org"), ("download", "pytorch", "org"))
)


def commands(group=None, name: str = "gantry"):
    """Yield every command with its full name, groups included."""
    group = group or typer.main.get_command(app)
    yield name, group
    for part, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{name} {part}")


COMMANDS = dict(commands())


def test_every_verb_is_there():
    assert {name.split()[1] for name in COMMANDS if name != "gantry"} >= VERBS
    assert {"gantry models list", "gantry models check"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_verb_and_each_of_its_options_has_help(name: str):
    command = COMMANDS[name]
    assert len(command.help or "") > 10
    silent = [param.name for param in command.params if param.name != "help" and not getattr(param, "help", None)]
    assert silent == []
    told = CliRunner().invoke(app, [*name.split()[1:], "--help"])
    assert told.exit_code == 0
    assert "Usage" in told.output


def test_wrong_use_exits_2():
    assert CliRunner().invoke(app, ["no-such-verb"]).exit_code == 2


def test_the_version_stands_in_one_place():
    assert str(Version(vision.__version__)) == vision.__version__
    assert "version" in PROJECT["dynamic"]
    assert "version" not in PROJECT
    said = [
        str(path)
        for path in sources("vision", "kernels", "models")
        if re.search(r"^__version__\s*=", text_of(path), re.M)
    ]
    assert said == ["vision/__init__.py"]
    assert CliRunner().invoke(app, ["--version"]).output.strip() == f"gantry {vision.__version__}"


def test_the_readme_names_verbs_and_targets_that_exist():
    shown = re.findall(r"gantry ([a-z]+)", README)
    assert set(shown) == VERBS
    used = set(re.findall(r"^make (\w+)", README + text_of(Path("CONTRIBUTING.md")), re.M))
    targets = set(re.findall(r"^(\w+):", text_of(Path("Makefile")), re.M))
    assert {"demo", "test", "check", "bench"} <= used <= targets


def test_the_examples_of_the_readme_are_right(tmp_path: Path):
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.S)
    (ground,) = re.findall(r"```\n(\[camera.north.ground\].*?)```", README, re.S)
    path = tmp_path / "elm.toml"
    path.write_text(block + ground)
    site = load_site(path)
    assert len(site.cameras["north"].rules) == 2
    assert site.cameras["north"].ground is not None


def test_decisions_are_short():
    entries = re.split(r"^## ", text_of(Path("DECISIONS.md")), flags=re.M)[1:]
    assert len(entries) >= 3
    assert {entry.splitlines()[0]: n for entry in entries if (n := len(entry.strip().splitlines())) > ENTRY_LINES} == {}
    assert [
        entry.splitlines()[0] for entry in entries if "Decision: " not in entry or "Consequences: " not in entry
    ] == []


def test_no_file_names_a_machine_or_a_registry():
    assert len(files()) > 100
    found = {
        (str(path), word)
        for path in files()
        if path.suffix not in {".onnx", ".png", ".npz"}
        for word in FOREIGN
        if word in text_of(path)
    }
    assert found == set()


# -- pins -----------------------------------------------------------------------------------------------------------


def pins() -> list[tuple[Requirement, str]]:
    """Return each requirement of the constraints file with the text of its hashes."""
    text = re.sub(r"^#.*\n", "", text_of(Path("constraints.txt")), flags=re.M).replace("\\\n", " ")
    split = [line.partition(" --hash=") for line in text.splitlines()]
    return [(Requirement(head.strip()), mark + hashes) for head, mark, hashes in split]


def test_every_pin_has_one_version_and_hashes_and_no_address():
    assert len(pins()) > 30
    for requirement, hashes in pins():
        assert requirement.url is None
        assert [specifier.operator for specifier in requirement.specifier] == ["=="]
        assert re.fullmatch(r"(\s*--hash=sha256:[0-9a-f]{64})+\s*", hashes), requirement.name
    assert "://" not in text_of(Path("constraints.txt"))


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize(("system", "machine"), [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")])
def test_every_dependency_has_a_pin_within_its_range(python: str, system: str, machine: str):
    here = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": system}
    here |= {"platform_machine": machine}
    pinned = {pin.name: pin for pin, _ in pins() if pin.marker is None or pin.marker.evaluate(here)}
    declared = [Requirement(text) for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]]
    declared = [wanted for wanted in declared if wanted.marker is None or wanted.marker.evaluate(here)]
    assert len(declared) > 15
    for wanted in declared:
        (version,) = (specifier.version for specifier in pinned[wanted.name].specifier)
        assert wanted.specifier.contains(version), wanted.name
    assert len({"onnxruntime", "onnxruntime-gpu"} & set(pinned)) == 1
    assert "torch" not in pinned
