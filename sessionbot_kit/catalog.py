"""Which of the plugins that were found are to run, and why the others are not.

    choose(finds, Wishes(disabled={"tarot"}))     # the same finds, some with a reason in `skipped`

Found first wins an id or a prefix. With the policy `disable`, what nobody named is left out,
unless somebody needs it. The one rule to remember: **a plugin is never left out in silence**.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sessionbot_kit.edition import SHORT, Edition
from sessionbot_kit.extension import Plugin, PluginMeta

Policy = Literal["enable", "disable"]


@dataclass(frozen=True, slots=True)
class Find:
    """A plugin and where it comes from; `skipped` says why it is left out, if it is."""

    origin: str
    plugin: Plugin | None = None
    skipped: str = ""

    @property
    def id(self) -> str:
        return self.plugin.meta.id if self.plugin is not None else ""

    @property
    def version(self) -> str:
        """The version that the plugin gives itself, and the first digits of its bytes'."""
        if self.plugin is None:
            return ""
        edition = getattr(self.plugin, "edition", None)
        digits = f" {edition.version[:SHORT]}" if isinstance(edition, Edition) else ""
        return f"{self.plugin.meta.version}{digits}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the settings say about plugins, by id."""

    enabled: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    policy: Policy = "enable"

    def refusal(self, meta: PluginMeta) -> str:
        """Why a plugin is left out by the settings; empty if it is not."""
        if meta.id in self.disabled:
            return "it stands in plugins.disabled; take it out there"
        if self.policy == "disable" and meta.id not in self.enabled:
            return "nobody named it; add it to plugins.enabled, or set plugins.policy to enable"
        return ""


def choose(finds: Iterable[Find], wishes: Wishes) -> list[Find]:
    """Say of each find whether it is left out, and why."""
    finds = list(_first_of_each(finds))
    wanted = _wanted([find.plugin.meta for find in finds if find.plugin], wishes)
    for number, find in enumerate(finds):
        if find.plugin and not find.skipped and find.id not in wanted:
            finds[number] = replace(find, skipped=wishes.refusal(find.plugin.meta))
    finds = list(_without_conflicts(finds))
    while any(changes := [_lacks(find, finds) for find in finds]):
        finds = [
            replace(find, skipped=lack) if lack else find
            for find, lack in zip(finds, changes, strict=True)
        ]
    there = {find.id for find in finds}
    finds += [
        Find(id, skipped=f"{id} stands in plugins.enabled and is nowhere; check plugins.paths")
        for id in sorted(wishes.enabled - there)
    ]
    return finds


def _wanted(metas: Sequence[PluginMeta], wishes: Wishes) -> set[str]:
    """Whom the settings let run, and whom those need."""
    by_id = {meta.id: meta for meta in metas}
    todo = [id for id, meta in by_id.items() if not wishes.refusal(meta)]
    wanted: set[str] = set()
    while todo:
        if (id := todo.pop()) in by_id and id not in wanted and id not in wishes.disabled:
            wanted.add(id)
            todo += by_id[id].dependencies
    return wanted


def _first_of_each(finds: Iterable[Find]) -> Iterator[Find]:
    first: dict[str, str] = {}
    for find in finds:
        if find.plugin and find.id in first:
            find = replace(find, skipped=f"{first[find.id]} has a {find.id} too, and comes first")
        elif find.plugin:
            first[find.id] = find.origin
        yield find


def _without_conflicts(finds: Iterable[Find]) -> Iterator[Find]:
    owners: dict[str, str] = {}
    for find in finds:
        if find.plugin and not find.skipped:
            for prefix in getattr(find.plugin, "prefixes", ()):
                if (owner := owners.setdefault(prefix, find.id)) != find.id:
                    find = replace(find, skipped=f"{owner} wants {prefix} too; change one of them")
                    break
        yield find


def _lacks(find: Find, finds: Iterable[Find]) -> str:
    """What a plugin needs and will not have; empty if there is nothing."""
    if find.plugin is None or find.skipped:
        return ""
    there = {other.id for other in finds if not other.skipped}
    missing = [id for id in find.plugin.meta.dependencies if id not in there]
    return f"it needs {missing[0]}, which is left out or not here" if missing else ""
