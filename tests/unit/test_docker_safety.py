"""What lies in docker/ is safe: no secrets, no root, nothing writable but volumes, local ports."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.unit.docker_files import (
    COMPOSE,
    DASK_PODS,
    DOCKER,
    MANIFESTS,
    PODS,
    PROJECT,
    ROOT,
    container,
    environments,
    instructions,
    user,
)
from vdbcluster.config.settings import check_environment
from vdbcluster.errors import UsageError


def test_pods_are_restricted() -> None:
    """The rules of the Pod Security Standard ``restricted``, and a root that cannot be written."""
    for name, pod in (PODS | DASK_PODS).items():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == int(user().split(":")[0])
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        context = container(name)["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}


def test_pods_get_no_variables_of_services() -> None:
    """Kubernetes would make one from the name of the service, which we refuse as a slip."""
    names = {doc["metadata"]["name"] for doc in MANIFESTS if doc["kind"] == "Service"}
    assert names == {"vdbcluster-worker", "vdbcluster-scheduler"}
    with pytest.raises(UsageError, match="is no setting"):
        check_environment(["VDBCLUSTER_WORKER_PORT"])
    assert all(pod["enableServiceLinks"] is False for pod in (PODS | DASK_PODS).values())


def test_everything_written_lies_on_volumes() -> None:
    claimed = {"/tmp", "/var/lib/vdbcluster"}
    for name in PODS:
        assert claimed <= {mount["mountPath"] for mount in container(name)["volumeMounts"]}
        assert environments()[name]["NUMBA_CACHE_DIR"].startswith("/var/lib/vdbcluster/")
    volumes = {volume.split(":")[1] for volume in COMPOSE["services"]["worker"]["volumes"]}
    declared = set(yaml.safe_load(dict(instructions())["VOLUME"]))
    assert claimed | declared <= volumes
    for name in ("NUMBA_CACHE_DIR", "VDBCLUSTER__RUN__RUNS_DIR", "VDBCLUSTER__EMBED__CACHE"):
        assert any(environments()["compose"][name].startswith(volume) for volume in declared)


def test_no_secret_lies_in_a_file() -> None:
    wanted = re.compile("PASSWORD|TOKEN|KEY|SECRET|_USER$")
    asked = set()
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if wanted.search(name):
                assert re.fullmatch(r"(root:)?\$\{[A-Z_]+:[?-][^}]*\}", value), name
    asked = set(re.findall(r"\$\{([A-Z_]+)", (DOCKER / "compose.yaml").read_text()))
    lines = (DOCKER / "env.example").read_text().splitlines()
    assert {line for line in lines if not line.startswith("#")} == {f"{name}=" for name in asked}
    assert "docker/.env" in (ROOT / ".gitignore").read_text().splitlines()
    for name in PODS:
        entries = {entry["name"]: entry for entry in container(name)["env"]}
        assert "secretKeyRef" in entries["VDBCLUSTER__MILVUS__TOKEN"]["valueFrom"]
    assert not any(doc["kind"] == "Secret" for doc in MANIFESTS)


def test_images_are_pinned_and_ports_are_local() -> None:
    ours = f"vdbcluster:{PROJECT['project']['version']}"
    assert ("ARG", f"VERSION={PROJECT['project']['version']}") in instructions()
    assert {container(name)["image"] for name in PODS | DASK_PODS} == {ours}
    images = [service["image"] for service in COMPOSE["services"].values()]
    assert ours in images
    for image in images:
        assert re.search(r":(v?\d+\.\d+\.\d+|RELEASE\.[\dTZ-]+|not-set\})$", image), image
    base = next(rest for instruction, rest in instructions() if instruction == "ARG")
    assert re.fullmatch(r"PYTHON=python:3\.11\.\d+-slim-[a-z]+", base)
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    copied = set()
    for instruction, rest in instructions():
        if instruction == "COPY" and "--from" not in rest:
            copied.update(rest.split()[:-1])
    assert all((ROOT / path).exists() for path in copied)
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert "*" in lines


def test_the_image_cannot_be_changed_by_its_user() -> None:
    stages = [rest for instruction, rest in instructions() if instruction == "FROM"]
    assert len(stages) == 3
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user())
    last = (DOCKER / "Dockerfile").read_text().rsplit("\nFROM ", 1)[1]
    assert "pip uninstall" in last
    assert not re.search(r"pip .*\binstall\b|apt-get", last)
