"""TLS, users and databases of the real server, in a network of its own.

The packaged server takes fixed ports, which the one that all tests share has already.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import backends
from tests.faults.commands import ROOT, environment

LONGEST = 500.0
"""Seconds that the server and six tests may take on a busy machine."""
OWN_NETWORK = ("unshare", "--map-root-user", "--net", "--")
UP = 'ip link set lo up && exec "$@"'


def why_not() -> str | None:
    """Why such a network, or the server, cannot be had here."""
    if reason := backends.why_no_packaged_server():
        return reason
    if not shutil.which("unshare") or not shutil.which("ip"):
        return "unshare and ip are needed for a network of its own"
    tried = subprocess.run(
        [*OWN_NETWORK, "sh", "-c", "ip link set lo up"], capture_output=True, check=False
    )
    return None if tried.returncode == 0 else "no network of its own can be made here"


@pytest.mark.slow
@pytest.mark.timeout(LONGEST + 60)
def test_the_real_server_with_tls_users_and_databases(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    tests = Path(__file__).with_name("secured.py")
    inside = [sys.executable, "-m", "pytest", "-q", str(tests), f"--basetemp={tmp_path}/inside"]
    with subprocess.Popen(
        [*OWN_NETWORK, "sh", "-c", UP, "sh", *inside, "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=LONGEST)
        except BaseException:
            process.terminate()  # on which it ends its server
            process.communicate(timeout=60)
            raise
    assert process.returncode == 0, output[-4000:]
    assert "6 passed" in output
