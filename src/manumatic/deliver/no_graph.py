"""Classes that a module exists for, but no ONNX graph."""

__all__ = ["NO_GRAPH"]

# class → why not
NO_GRAPH: dict[str, str] = {}
