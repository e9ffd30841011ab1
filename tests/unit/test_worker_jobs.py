"""The jobs file: what it may say, what is wrong in it, and what a job's process is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import UsageError
from vdbcluster.worker.child import environment
from vdbcluster.worker.jobs import Plan, one_job, read_jobs
from vdbcluster.worker.reach import place_of

GOOD = """
[worker]
timezone = "Europe/Berlin"
at_once = 2

[defaults.milvus]
uri = "http://milvus:19530"
token = "${THE_TOKEN}"
[defaults.write]
label_prefix = "c_"

[[job]]
name = "news"
cron = "0 3 * * *"
assign_every = "10m"
[job.milvus]
collection = "news"

[[job]]
name = "old-news"
every = "7d"
timezone = "Asia/Tokyo"
[job.milvus]
collection = "archive"
token = "other"
[job.cluster]
method = "layers"
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THE_TOKEN", "sekrit")


def read(text: str, base: Settings | None = None) -> Plan:
    Path("jobs.toml").write_text(text)
    return read_jobs(Path("jobs.toml"), base or load_settings({}))


def test_a_job_has_its_own_settings_over_the_defaults_over_those_of_the_command() -> None:
    base = load_settings({"milvus": {"db": "prod", "uri": "x.db"}, "run": {"seed": 7}})
    plan = read(GOOD, base)
    assert (plan.worker.timezone, plan.worker.at_once) == ("Europe/Berlin", 2)
    news, old = (job.settings for job in plan.jobs)
    assert [job.name for job in plan.jobs] == ["news", "old-news"]
    assert (news.milvus.collection, old.milvus.collection) == ("news", "archive")
    assert news.milvus.token.get_secret_value() == "sekrit"
    assert old.milvus.token.get_secret_value() == "other"
    for settings in (news, old):
        assert (settings.milvus.uri, settings.milvus.db) == ("http://milvus:19530", "prod")
        assert (settings.write.label_prefix, settings.run.seed) == ("c_", 7)
    assert (news.cluster.method, old.cluster.method) == ("auto", "layers")
    assert (news.telemetry.job, old.telemetry.job) == ("news", "old-news")
    assert list(plan.jobs[0].tables) == ["run", "assign"]
    assert list(plan.jobs[1].tables) == ["run"]
    assert "sekrit" not in repr(plan)


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it has no jobs; write each as [[job]]"),
        ("job = 3", "it has no jobs"),
        ("x = [", "is no valid TOML"),
        ("worker = 3\n[[job]]\nname='a'", "[worker] must be a table"),
        (changed("at_once = 2", "at_once = 0"), "worker.at_once"),
        (changed("at_once = 2", "hats = 2"), "there is no setting worker.hats"),
        (changed("[worker]", "[workers]"), "there is no 'workers' in a jobs file"),
        (changed("Europe/Berlin", "Mars"), "job news: there is no time zone 'Mars'"),
        (changed("Asia/Tokyo", "Mars"), "job old-news: there is no time zone 'Mars'"),
        (changed("0 3 * * *", "0 33 * * *"), "job news: '0 33 * * *' is no cron line (Bad hour)"),
        (changed("10m", "10"), "job news: '10' is no interval"),
        (changed('every = "7d"', ""), "job old-news: it has no schedule"),
        (changed('every = "7d"', 'every = "7d"\ncron = "0 3 * * *"'), "both cron and every"),
        (changed('"old-news"', '"news"'), "two jobs are called 'news'"),
        (changed('"old-news"', '"old/news"'), "its name must be letters"),
        (changed('name = "news"', ""), "job number 1: its name must be letters"),
        (changed('cron = "0 3', 'corn = "0 3'), "job news: there is no 'corn' in a job"),
        (changed("cron = ", "cron = 3 #"), "job news: cron is wrong"),
        (changed('collection = "news"', ""), "job news: it names no collection"),
        (changed("[job.cluster]", "[job.clusters]"), "job old-news: there is no 'clusters'"),
        (changed("[job.cluster]", "[job.worker]"), "job old-news: there is no 'worker' in a job"),
        (changed('method = "layers"', 'method = "x"'), "job old-news: the setting cluster.method"),
        (changed("[defaults.write]", "[defaults.wirte]"), "[defaults.wirte] is no section"),
        (changed("THE_TOKEN", "NO_TOKEN"), "the environment has no variable NO_TOKEN"),
        (changed('token = "other"', "token = 7"), "job old-news: the setting milvus.token"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_place(text: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        read(text)
    line = str(error.value)
    assert told in line
    assert "jobs.toml" in line
    assert "\n" not in line
    assert "sekrit" not in line


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match=r"the jobs file no\.toml does not exist"):
        read_jobs(Path("no.toml"), load_settings({}))


def test_without_a_file_there_is_one_job_under_the_settings_of_the_command() -> None:
    base = load_settings(
        {"milvus": {"collection": "my docs"}, "worker": {"timezone": "Asia/Tokyo"}}
    )
    (job,) = one_job({"cron": "0 3 * * *", "assign_every": "", "every": ""}, base).jobs
    assert (job.name, job.settings.telemetry.job) == ("my-docs", "my-docs")
    assert job.settings.milvus.collection == "my docs"
    assert list(job.tables) == ["run"]
    with pytest.raises(UsageError, match="no schedule"):
        one_job({"cron": ""}, base)
    with pytest.raises(UsageError, match="--collection"):
        one_job({"cron": "0 3 * * *"}, load_settings({}))


def test_a_process_gets_the_settings_of_its_job_and_of_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = GOOD + '[job.telemetry]\nwebhook = "http://hooks/x"\nmetrics_file = "x.prom"\n'
    text += '[job.scale]\nincremental = true\nmemory_limit = "8GB"\n'
    job = read(text).jobs[1]
    assert job.settings.scale.incremental
    with monkeypatch.context() as strange:
        strange.setenv("VDBCLUSTER__MILVUS__COLLECTION", "strange")
        given = dict(environment(job.settings))
    for name in [name for name in given if name.startswith("VDBCLUSTER__")]:
        monkeypatch.setenv(name, given[name])
    Path("vdbcluster.toml").write_text('[milvus]\ncollection = "other"\n[write]\nbatch = 7\n')
    seen = load_settings({})
    assert seen.milvus == job.settings.milvus
    assert seen.milvus.token.get_secret_value() == "other"
    for section in ("neighbors", "cluster", "write", "gate", "run", "scale"):
        assert getattr(seen, section) == getattr(job.settings, section), section
    # The worker tells of its runs; their processes only log.
    assert json.loads(given["VDBCLUSTER__TELEMETRY"]) | {"webhook_on": []} == {
        "job": "old-news",
        "log_format": "json",
        "metrics_file": None,
        "pushgateway": "",
        "webhook": "",
        "webhook_on": [],
    }


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("milvus.db", None),
        ("./x/milvus.db", None),
        ("unix:/run/milvus", None),
        ("http://milvus:19531", ("milvus", 19531)),
        ("tcp://user:pw@milvus", ("milvus", 19530)),
        ("https://cloud.example", ("cloud.example", 443)),
    ],
)
def test_where_a_server_is(uri: str, place: tuple[str, int] | None) -> None:
    assert place_of(uri) == place
