"""What a language model is asked of the clusters, and what of its answers may stand on a card.

Texts in, texts out; nothing is read but the prompt files that come with the package. Nobody is
asked here; see ``pipeline.commentary``.
"""
