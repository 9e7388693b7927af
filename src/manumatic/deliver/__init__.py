"""What leaves the notebook: graphs, bundles, servers."""

__all__: list[str] = []
