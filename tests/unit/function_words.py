"""Words that say nothing of what a text is about, apart from those that the code leaves out.

English: scikit-learn's list, less what a cluster may well be about. The others: by hand, the words
of the closed classes that are most frequent in each language.
"""

from __future__ import annotations

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

_CONTENT = """
amount back bill bottom call computer cry describe detail empty fill fire front full interest mill
move name part side sincere system thick thin top serious show found find hundred
"""
_MORE = "don doesn didn isn ll ve re im dont cant just like would also get got going really"
ENGLISH = ENGLISH_STOP_WORDS.difference(_CONTENT.split()).union(_MORE.split())
_GERMAN = """
der die das den dem des ein eine einen einem einer und oder aber nicht ist sind war wird
werden mit von zu zum zur auf für im in ich wir sie es er sich auch als an wie dass daß man
kann sollte sollten muss müssen mehr nur noch bei nach aus um so wenn was bis keine
"""
_JAPANESE = """
する れる られる せる させる から まで より ある いる なる こと もの ため よう それ これ あれ
どれ この その あの どの ここ そこ です ます だ た て に を は が の と も へ や か ね よ な で
ない ぬ たい らしい そう ながら ので のに けど しかし また および 的 さん ところ とき とおり
できる やる くる いく おく しまう みる ほしい わけ はず つもり など だけ しか ばかり さえ という
について において により に対する もう まだ とても すごく どう なぜ 何 誰 私 我々 彼 自分
"""
_CHINESE = """
的 了 是 在 和 与 及 或 不 也 都 就 而 还 很 被 把 让 给 从 对 为 于 以 之 其 此 这 那 个 们
我 你 他 她 它 我们 你们 他们 有 没 没有 可能 可以 能够 应该 会 要 将 已 已经 等 着 过 吗 呢 吧
啊 什么 怎么 如何 为什么 因为 所以 如果 但是 而且 或者 虽然 然而 并且 不过 那么 这么 一个 一些
这个 那个 这些 那些 这样 那样 自己 以及 其他 关于 对于 由于 通过 进行 之后 之前 以后 以前 是否
非常 比较 更加 全部 所有
"""
ALL = ENGLISH.union(_JAPANESE.split(), _CHINESE.split())
WITH_GERMAN = ALL.union(_GERMAN.split())
"""Apart, since some of them are content in English."""
