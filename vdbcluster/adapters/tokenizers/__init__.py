"""Texts into terms, by script: ``ScriptTokenizer`` is the one that others need.

tokenizer = ScriptTokenizer(detector=Py3LangId(), stop_words=("acme",), dictionary=("3d print",))
tokenizer.terms(["The 3D print failed", "吾輩は猫である"])
"""

from vdbcluster.adapters.tokenizers.by_script import ScriptTokenizer

__all__ = ["ScriptTokenizer"]
