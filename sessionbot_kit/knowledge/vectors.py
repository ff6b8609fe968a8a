"""Exact search by meaning: every vector is compared, which is fine up to some 100,000.

pip install "sessionbot-kit[vectors]"      # numpy, and nothing else

The one rule to remember: there is no approximation, so what is nearest is found.
"""

from array import array
from collections.abc import Sequence
from typing import Any

from sessionbot_kit.errors import UsageError


def packed(vector: Sequence[float]) -> bytes:
    """A vector as it is kept: 32-bit floats."""
    return array("f", vector).tobytes()


class Nearest:
    """The vectors of one collection, ready to be searched."""

    def __init__(self, rows: Sequence[int], vectors: Sequence[bytes]) -> None:
        numpy = _numpy()
        self._rows = rows
        lengths = {len(vector) for vector in vectors}
        if len(lengths) > 1:
            raise UsageError(
                "the vectors of this collection have several lengths; its embedder was changed. "
                "Remove the collection and add it again"
            )
        matrix = numpy.frombuffer(b"".join(vectors), dtype="float32")
        self._matrix = _normal(numpy, matrix.reshape(len(rows), -1)) if rows else None

    def to(self, vector: Sequence[float], limit: int) -> list[int]:
        """The rows that are nearest, best first."""
        if self._matrix is None:
            return []
        numpy = _numpy()
        wanted = _normal(numpy, numpy.asarray([vector], dtype="float32"))[0]
        if len(wanted) != self._matrix.shape[1]:
            raise UsageError(
                f"the question's vector has {len(wanted)} numbers and the collection's have "
                f"{self._matrix.shape[1]}; remove the collection and add it with this embedder"
            )
        near = self._matrix @ wanted
        limit = min(limit, len(near))
        best = numpy.argpartition(-near, limit - 1)[:limit]
        return [self._rows[n] for n in best[numpy.argsort(-near[best], kind="stable")]]


def _normal(numpy: Any, matrix: Any) -> Any:
    lengths = numpy.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / numpy.where(lengths == 0, 1, lengths)


def _numpy() -> Any:
    try:
        import numpy
    except ImportError as missing:
        raise UsageError(
            'search by meaning needs numpy; install it: pip install "sessionbot-kit[vectors]"'
        ) from missing
    return numpy
