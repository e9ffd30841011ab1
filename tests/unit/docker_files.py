"""What the files of docker/ say, parsed; for the tests that compare it with the rest."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
CRONJOB = {
    doc["kind"]: doc for doc in yaml.safe_load_all((DOCKER / "kubernetes/cronjob.yaml").read_text())
}
WORKER = {
    doc["kind"]: doc for doc in yaml.safe_load_all((DOCKER / "kubernetes/worker.yaml").read_text())
}
DASK = {
    doc["metadata"]["name"] + "/" + doc["kind"]: doc
    for doc in yaml.safe_load_all((DOCKER / "kubernetes/dask.yaml").read_text())
}
MANIFESTS = [*CRONJOB.values(), *WORKER.values(), *DASK.values()]
PODS = {
    "cronjob": CRONJOB["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"],
    "worker": WORKER["Deployment"]["spec"]["template"]["spec"],
    "dask-run": DASK["vdbcluster-dask-run/CronJob"]["spec"]["jobTemplate"]["spec"]["template"][
        "spec"
    ],
}
"""Pods that run vdbcluster itself, and know the token."""
DASK_PODS = {
    name: DASK[f"vdbcluster-{name}/Deployment"]["spec"]["template"]["spec"]
    for name in ("scheduler", "dask-worker")
}
"""Pods that run Dask, and get what they need from a run."""
SECONDS = {"h": 3600, "m": 60, "s": 1}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as pairs of an instruction and what follows it."""
    text = (DOCKER / "Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines).splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in joined if line.strip()]


def environments() -> dict[str, dict[str, str]]:
    """The variables that each file gives to vdbcluster; what is a secret has a stand-in."""
    image = {
        name: value
        for instruction, rest in instructions()
        if instruction == "ENV"
        for name, value in re.findall(r"(\w+)=(\S+)", rest)
    }
    filled = {
        name: re.sub(r"\$\{[^}]*\}", "secret", value)
        for name, value in COMPOSE["services"]["worker"]["environment"].items()
    }
    pods = {
        name: {entry["name"]: entry.get("value", "secret") for entry in container(name)["env"]}
        for name in PODS
    }
    return {"image": image, "compose": image | filled} | {
        name: image | variables for name, variables in pods.items()
    }


def container(pod: str) -> Mapping[str, Any]:
    (only,) = (PODS | DASK_PODS)[pod]["containers"]
    return only


def seconds(text: str) -> int:
    """``2m30s`` as Compose reads it."""
    return sum(int(count) * SECONDS[unit] for count, unit in re.findall(r"(\d+)([hms])", text))


def user() -> str:
    """Whom the image runs as, ``uid:gid``."""
    return dict(instructions())["USER"]
