"""Korean words without the particles that are written onto them.

In: a run of Hangul. Out: its term, or ``BREAK``. Promise: at least two syllables; deterministic.

No analyser: the common ones bring a model of a hundred megabytes. Particles are a closed class that
ends a word, and taking the longest off where two syllables remain is right far more often than not;
verbs keep their endings, of which the common auxiliaries are left out.
"""

from __future__ import annotations

from functools import lru_cache

from vdbcluster.adapters.tokenizers.spaced import KNOWN
from vdbcluster.ports.tokens import BREAK

_PARTICLE_LIST = """
은 는 이 가 을 를 의 에 에서 에게 에게서 께 께서 한테 으로 로 으로서 로서 으로써 로써
와 과 이나 나 도 만 부터 까지 까지는 보다 처럼 같이 마다 조차 마저 밖에 이라 라 이라고 라고
이라는 라는 에는 에도 에서는 에서도 으로는 로는 와의 과의 에서의 으로의 로의 들 들은 들이
들을 들의 들에게 이다 이며 이고 입니다 이었다 였다 인 적인 하는 하고 하여 해서 했다 합니다
했습니다 하며 하기 하게 한 할 된 되는 되어 됩니다 되었습니다 되었다
"""
_PARTICLES = tuple(sorted(_PARTICLE_LIST.split(), key=lambda word: (-len(word), word)))
_CARRIER_LIST = """
있다 있는 있습니다 있었습니다 없다 없는 없습니다 하지만 그러나 그리고 그래서 또한 또는
때문 때문에 대한 대해 위해 위한 통해 따라 따르면 의해 관한 가장 모든 많은 다른 여러 매우 아주
그들 우리 이것 그것 저것 이러한 그러한 이런 그런 어떤 경우 정도 수도 것이 것은 것을 것으로
것입니다 같은 함께 다시 이후 이전 동안 사이 아니라 아니다 않는 않습니다 않았습니다 한다 된다
그녀 여기 거기 저기 무엇 누구 언제 어디 매년 오늘 지금 현재 이미 아직 더욱 특히 물론 만약
합니다 했습니다 입니다 됩니다
그는 이는 그가 있으며 있고 있었다 라고 것이다 것이며 가지고 가진 개의 번째 대부분 일부 해당
"""
_CARRIERS = frozenset(_CARRIER_LIST.split())


@lru_cache(maxsize=KNOWN)
def word(run: str, stop_words: frozenset[str]) -> str:
    """The term that a word stands for, ``BREAK`` if it is none."""
    if run in _CARRIERS or run in stop_words:
        return BREAK
    bare = _bare(run)
    return BREAK if len(bare) < 2 or bare in _CARRIERS or bare in stop_words else bare


def _bare(run: str) -> str:
    for particle in _PARTICLES:
        if run.endswith(particle) and len(run) - len(particle) >= 2:
            return run[: -len(particle)]
    return run
