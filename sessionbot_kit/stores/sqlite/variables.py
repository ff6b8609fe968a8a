"""Two writers, one set of variables: what each of them changed, brought together."""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import JsonValue

from sessionbot_kit.errors import StoreConflict


def merged(
    base: Mapping[str, JsonValue], mine: Mapping[str, JsonValue], theirs: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Add what led from `base` to `mine` to `theirs`; a key that both changed is a conflict."""
    result = dict(theirs)
    for name in base.keys() | mine.keys():
        wanted = mine.get(name, _GONE)
        if _same(base.get(name, _GONE), wanted):
            continue
        found = theirs.get(name, _GONE)
        if not _same(base.get(name, _GONE), found) and not _same(found, wanted):
            raise StoreConflict(
                f"the variable {name!r} was changed by somebody else meanwhile; "
                "read the session again and repeat"
            )
        if wanted is _GONE:
            result.pop(name, None)
        else:
            result[name] = wanted
    return result


_GONE: Any = object()


def _same(one: Any, other: Any) -> bool:
    if one is _GONE or other is _GONE:
        return one is other
    # 1 == True == 1.0 in Python, and three values in JSON.
    return bool(one == other) and orjson.dumps(one) == orjson.dumps(other)
