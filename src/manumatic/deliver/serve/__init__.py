"""A bundle behind HTTP: bytes in, columns, one graph, bytes out."""

__all__: list[str] = []
