"""Ways of writing labels back: a ladder, whose best safe rung ``choose_sink`` finds out."""

from vdbcluster.adapters.milvus.writeback.probe import LabelSettings, choose_sink, sink_of_way

__all__ = ["LabelSettings", "choose_sink", "sink_of_way"]
