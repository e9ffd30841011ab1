"""What a language model is asked of the clusters, and what of its answers may stand on a card.

Pure: texts in, texts out. Nobody is asked here; see ``pipeline.commentary``.
"""
