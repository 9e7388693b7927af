"""scikit-learn → ``nn.Module``: a registry, and one file a family of estimators."""

__all__: list[str] = []
