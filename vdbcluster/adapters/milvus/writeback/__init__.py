"""Ways of writing labels back: a ladder, whose best safe rung ``choose_sink`` finds out."""

from vdbcluster.adapters.milvus.writeback.probe import LabelSettings, choose_sink

__all__ = ["LabelSettings", "choose_sink"]
