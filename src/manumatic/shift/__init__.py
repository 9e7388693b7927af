"""scikit-learn estimators laid open as five components: a registry, and one file a family."""

__all__: list[str] = []
