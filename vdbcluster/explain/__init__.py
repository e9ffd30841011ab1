"""What a cluster is about, told by its own rows. Arrays in, arrays out.

``keywords``         the terms that tell each cluster, see ``explain.keywords``
``representatives``  the rows that show it, see ``explain.representatives``
"""
