"""``vdbcluster`` with a search that takes its time: a fifth of a second for each piece.

python -m tests.safety.slow_search run -c docs --yes
"""

from __future__ import annotations

import time
from typing import Any

from vdbcluster.cli.main import main
from vdbcluster.pipeline import graph_shards

PAUSE = 0.2
_save = graph_shards.save_shard


def _slowly(*shard: Any) -> None:
    _save(*shard)
    time.sleep(PAUSE)


if __name__ == "__main__":
    graph_shards.save_shard = _slowly
    main()
