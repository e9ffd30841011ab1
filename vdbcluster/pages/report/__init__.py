"""A report as a page, as Markdown and as JSON: values in, text out."""
