"""Pages for people: values in, HTML, Markdown or JSON text out; nothing is read, asked or written.

Every page is one file that works from disk, without a network.
"""
