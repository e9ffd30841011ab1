"""What lies in docker/ is true: schemas, linters, settings, commands and locks agree with it.

No image is built, and of containers nothing is started; see docker/README.md for what that leaves
open.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer.main
import yaml

from tests.backends import free_port
from tests.unit.docker_files import (
    COMPOSE,
    CRONJOB,
    DASK,
    DASK_PODS,
    DOCKER,
    MANIFESTS,
    PODS,
    PROJECT,
    WORKER,
    container,
    environments,
    instructions,
    seconds,
)
from vdbcluster.cli.app import app
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import LockedError, RefusedError, UsageError
from vdbcluster.worker.jobs import read_jobs

VERSIONS = ("1.31", kubernetes_validate.latest_version())
ERROR = 1


def check_compose(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)


def test_compose_follows_its_schema(tmp_path: Path) -> None:
    checked = check_compose(DOCKER / "compose.yaml")
    assert checked.returncode == 0, checked.stdout
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((DOCKER / "compose.yaml").read_text().replace("stop_grace_period", "grace"))
    assert check_compose(wrong).returncode != 0


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_follow_the_schemas(version: str) -> None:
    for manifest in MANIFESTS:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_wrong_manifest_is_found() -> None:
    wrong = yaml.safe_load(yaml.safe_dump(CRONJOB["CronJob"]).replace("backoffLimit", "backoff"))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_yamllint() -> None:
    command = [sys.executable, "-m", "yamllint", "--strict", "-c", str(DOCKER / ".yamllint")]
    found = subprocess.run([*command, str(DOCKER)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_hadolint() -> None:
    program = shutil.which("hadolint", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("hadolint ships for Linux x86-64 alone")
    found = subprocess.run(
        [program, str(DOCKER / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("where", environments())
def test_variables_are_settings(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    variables = environments()[where]
    for name in [name for name in os.environ if name.startswith("VDBCLUSTER__")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        if name.startswith("VDBCLUSTER"):
            monkeypatch.setenv(name, value)
    settings = load_settings({})
    assert str(settings.run.runs_dir) == "/var/lib/vdbcluster/runs"
    assert settings.worker.host == "0.0.0.0"
    if where != "image":
        assert "secret" in settings.milvus.token.get_secret_value()


def commands() -> dict[str, list[str]]:
    return {
        "compose": COMPOSE["services"]["worker"]["command"],
        "cronjob": container("cronjob")["args"],
        "worker": container("worker")["args"],
        "dask-run": container("dask-run")["args"],
    }


@pytest.mark.parametrize("where", commands())
def test_commands_exist(where: str) -> None:
    assert ("ENTRYPOINT", '["vdbcluster"]') in instructions()
    assert "vdbcluster" in PROJECT["project"]["scripts"]
    parse(commands()[where])


def parse(words: list[str]) -> None:
    """As the command line does it: the command exists and takes these options."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("vdbcluster", list(words))
    name, command, rest = group.resolve_command(context, words)
    command.make_context(name, rest, parent=context)


def test_a_wrong_command_is_found() -> None:
    with pytest.raises(Exception, match="No such option: --collektion"):
        parse(["run", "--collektion", "articles"])
    with pytest.raises(Exception, match="No such command 'rum'"):
        parse(["rum"])


def test_jobs_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = read_jobs(DOCKER / "jobs.toml", Settings())
    assert {job.name: set(job.tables) for job in plan.jobs} == {
        "articles": {"run", "assign"},
        "products": {"run"},
    }
    assert WORKER["ConfigMap"]["data"] == {"jobs.toml": (DOCKER / "jobs.toml").read_text()}


def test_paths_of_the_jobs_file_agree() -> None:
    worker = COMPOSE["services"]["worker"]
    path = worker["command"][-1]
    assert f"./jobs.toml:{path}:ro" in worker["volumes"]
    mounts = {mount["name"]: mount for mount in container("worker")["volumeMounts"]}
    assert f"{mounts['jobs']['mountPath']}/jobs.toml" == container("worker")["args"][-1] == path
    assert mounts["jobs"]["readOnly"] is True


def test_there_is_time_to_stop() -> None:
    allowed = {
        "compose": seconds(COMPOSE["services"]["worker"]["stop_grace_period"]),
        "worker": PODS["worker"]["terminationGracePeriodSeconds"],
    }
    for where, given in allowed.items():
        variables = environments()[where]
        grace = variables["VDBCLUSTER__WORKER__GRACE"]
        kill_after = variables["VDBCLUSTER__WORKER__KILL_AFTER"]
        assert given >= float(grace) + float(kill_after) + 5, where


def test_what_trying_again_cannot_help_fails_at_once() -> None:
    rules = CRONJOB["CronJob"]["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    (exits,) = (rule["onExitCodes"] for rule in rules if "onExitCodes" in rule)
    assert (exits["operator"], exits["containerName"]) == ("In", container("cronjob")["name"])
    assert exits["values"] == sorted({UsageError.exit_code, RefusedError.exit_code})
    assert not {ERROR, LockedError.exit_code} & set(exits["values"])
    assert PODS["cronjob"]["restartPolicy"] == "Never"


def test_the_configuration_of_the_dask_run_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (name,) = DASK["vdbcluster-dask/ConfigMap"]["data"]
    (tmp_path / name).write_text(DASK["vdbcluster-dask/ConfigMap"]["data"][name])
    scale = load_settings({}, tmp_path / name).scale
    service = DASK["vdbcluster-scheduler/Service"]
    port = service["spec"]["ports"][0]["port"]
    assert scale.scheduler == f"tcp://{service['metadata']['name']}:{port}"
    assert scale.scheduler == container("dask-worker")["args"][0]
    assert container("scheduler")["args"][:2] == ["--port", str(port)]
    run, worker = container("dask-run"), container("dask-worker")
    for pod in (run, worker):
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["volumeMounts"]}
        assert mounts["work"] == scale.work_dir
    mounts = {mount["name"]: mount["mountPath"] for mount in run["volumeMounts"]}
    assert run["args"][2] == f"{mounts['config']}/{name}"
    limit = int(run["resources"]["limits"]["memory"].removesuffix("Gi")) << 30
    assert scale.memory_limit < limit


def test_the_selectors_find_their_pods_and_nobody_else_gets_in() -> None:
    found = {}
    for doc in DASK.values():
        spec = doc.get("spec", {})
        template = spec.get("jobTemplate", doc).get("spec", {}).get("template")
        if template is not None:
            found[doc["metadata"]["name"]] = template["metadata"]["labels"]
    policy = DASK["vdbcluster-dask/NetworkPolicy"]["spec"]
    assert policy["ingress"] == [{"from": [{"podSelector": policy["podSelector"]}]}]
    inside = policy["podSelector"]["matchLabels"].items()
    assert len(found) == 3
    assert all(inside <= labels.items() for labels in found.values())
    wanted = DASK["vdbcluster-scheduler/Service"]["spec"]["selector"].items()
    assert [n for n, labels in found.items() if wanted <= labels.items()] == [
        "vdbcluster-scheduler"
    ]
    for name in ("vdbcluster-scheduler", "vdbcluster-dask-worker"):
        chosen = DASK[f"{name}/Deployment"]["spec"]["selector"]["matchLabels"].items()
        assert [n for n, labels in found.items() if chosen <= labels.items()] == [name]


@pytest.mark.slow
def test_dask_starts_as_the_manifest_says(tmp_path: Path) -> None:
    """The scheduler and a worker by their own command lines, on ports that are free."""
    from distributed import Client

    port, scheduler_health, worker_health = free_port(), free_port(), free_port()
    address = f"tcp://127.0.0.1:{port}"
    ports = {"8786": str(port), ":8787": f"127.0.0.1:{scheduler_health}"}
    ports |= {":8788": f"127.0.0.1:{worker_health}", "/tmp/dask": str(tmp_path)}
    ports |= {"tcp://vdbcluster-scheduler:8786": address}
    started = []
    try:
        for name in DASK_PODS:
            pod = container(name)
            words = [ports.get(word, word) for word in (*pod["command"], *pod["args"])]
            words[0] = str(Path(sys.executable).with_name(words[0]))
            started.append(
                subprocess.Popen([*words, "--host", "127.0.0.1"], stderr=subprocess.DEVNULL)
            )
        with Client(address, timeout="60s") as client:
            client.wait_for_workers(1, timeout=60)
            assert list(client.nthreads().values()) == [1]
            limits = [w["memory_limit"] for w in client.scheduler_info()["workers"].values()]
            assert limits == [0]
        for health in (scheduler_health, worker_health):
            with urllib.request.urlopen(f"http://127.0.0.1:{health}/health", timeout=20) as told:
                assert told.status == 200
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)


def test_the_port_is_the_default() -> None:
    port = Settings().worker.port
    assert ("EXPOSE", str(port)) in instructions()
    assert f"'{port}'" in dict(instructions())["HEALTHCHECK"]
    assert f"127.0.0.1:{port}:{port}" in COMPOSE["services"]["worker"]["ports"]
    assert [entry["containerPort"] for entry in container("worker")["ports"]] == [port]
    assert [entry["port"] for entry in WORKER["Service"]["spec"]["ports"]] == [port]


def test_the_engine_is_warmed() -> None:
    runpy.run_path(str(DOCKER / "warm.py"))["main"]()
