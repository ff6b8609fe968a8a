"""How the views look: pure functions from values to HTML and SVG, and one style sheet.

    look.bubble("ada", "hello", mine=True)
    look.gauge(412, 4096, "tokens")          # a bar, and the words "412 of 4,096 tokens"
    look.graph({"tarot": ["cards"], "cards": []})

Everything that a stranger wrote goes through `tables.safe`. Colors come from the page around, so
that a dark theme stays dark; what a color says is said in words too. The one rule to remember: no
script, no font and no picture comes from anywhere else.
"""

from collections.abc import Iterable, Mapping, Sequence

from sessionbot_kit.tables import safe

LONGEST_TEXT = 2_000

STYLE = """<style>
.sbk { font: var(--jp-ui-font-size1, 13px)/1.45 var(--jp-ui-font-family, system-ui, sans-serif);
  color: var(--jp-ui-font-color1, inherit); max-width: 62em; }
.sbk-log, .sbk-feed { overflow: auto; overscroll-behavior: contain; padding: .6em .7em;
  border: 1px solid var(--jp-border-color1, #8886); border-radius: 8px;
  background: var(--jp-layout-color0, transparent); }
.sbk-log { display: flex; flex-direction: column-reverse; height: 19em; }
.sbk-feed { max-height: 24em; }
.sbk-said { margin: .15em 0 .5em; max-width: 85%; width: fit-content; }
.sbk-said > div { padding: .35em .75em; border-radius: 4px 12px 12px 12px;
  white-space: pre-wrap; overflow-wrap: anywhere; background: var(--jp-layout-color2, #8882); }
.sbk-mine { margin-left: auto; }
.sbk-mine > div { border-radius: 12px 4px 12px 12px; background: var(--jp-brand-color3, #1976d233);
  background: color-mix(in srgb, var(--jp-brand-color1, #1976d2) 22%,
    var(--jp-layout-color0, transparent)); }
.sbk-who { font-size: .85em; color: var(--jp-ui-font-color2, inherit); }
.sbk-mine .sbk-who { text-align: right; }
.sbk-bad { color: var(--jp-error-color1, #c62828); }
.sbk-dim { color: var(--jp-ui-font-color2, inherit); }
.sbk-wide { overflow-x: auto; }
.sbk table { border-collapse: collapse; width: 100%; font-size: inherit; }
.sbk caption { text-align: left; font-weight: 600; padding: .2em 0 .4em; }
.sbk th, .sbk td { padding: .2em .8em .2em 0; text-align: left; vertical-align: top; border: 0;
  border-bottom: 1px solid var(--jp-border-color2, #8884); overflow-wrap: anywhere; }
.sbk th { font-weight: 600; white-space: nowrap; }
.sbk td { white-space: pre-wrap; }
.sbk .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.sbk meter, .sbk progress { width: 9em; vertical-align: middle; }
.sbk svg { display: block; max-width: 100%; height: auto; }
.sbk-plots { display: flex; flex-wrap: wrap; gap: .4em 1.6em; }
.sbk-plots figure { margin: .3em 0; }
.sbk-plots figcaption { font-size: .92em; }
.sbk-two { display: grid; gap: .2em 1em;
  grid-template-columns: repeat(auto-fit, minmax(16em, 1fr)); }
.sbk del { background: #c6282833; text-decoration: line-through; }
.sbk ins { background: #2e7d3233; text-decoration: underline; }
.sbk h4 { margin: .7em 0 .2em; font-size: 1em; }
</style>"""


def page(*parts: str) -> str:
    """What a view puts into its HTML widget."""
    return f'{STYLE}<div class="sbk">{"".join(parts)}</div>'


def words(text: str, longest: int = LONGEST_TEXT) -> str:
    """A text with its line breaks, shortened with a note when it is very long."""
    more = len(text) - longest
    shown = "\n".join(safe(line) for line in text[:longest].split("\n"))
    return shown + (f' <span class="sbk-dim">… {more:,} more characters</span>' if more > 0 else "")


def bubble(who: str, text: str, *, mine: bool = False, bad: bool = False) -> str:
    classes = "sbk-said sbk-mine" if mine else "sbk-said"
    inner = f'<div class="sbk-bad">{words(text)}</div>' if bad else f"<div>{words(text)}</div>"
    return f'<div class="{classes}"><span class="sbk-who">{safe(who)}</span>{inner}</div>'


def log(label: str, rows: Iterable[str], *, older: int = 0) -> str:
    """A conversation that stays at its end; screen readers read what is added."""
    note = f'<p class="sbk-dim">… {older:,} older</p>' if older else ""
    return (
        f'<div class="sbk-log" role="log" aria-live="polite" aria-label="{safe(label)}"'
        f' tabindex="0"><div>{note}{"".join(rows)}</div></div>'
    )


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    note: str = "",
    live: bool = False,
) -> str:
    """Rows under columns; numbers stand on the right. A live one is read aloud as it grows."""
    rows = list(rows)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    body = body or f'<tr><td colspan="{len(columns)}" class="sbk-dim">none yet</td></tr>'
    right = [_is_number(value) for value in rows[0]] if rows else [False] * len(columns)
    head = "".join(
        f'<th scope="col"{" class=n" if n else ""}>{safe(column)}</th>'
        for column, n in zip(columns, right, strict=True)
    )
    role = ' role="log" aria-live="polite"' if live else ""
    foot = f'<div class="sbk-dim">{safe(note)}</div>' if note else ""
    return (
        f'<div class="sbk-wide {"sbk-feed" if live else ""}"{role} aria-label="{safe(title)}"'
        f' tabindex="0"><table><caption>{safe(title)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>{foot}</div>"
    )


class Markup(str):
    """HTML that we made ourselves; everything else in a cell is a stranger's text."""

    __slots__ = ()


def gauge(value: float, limit: float, unit: str) -> Markup:
    """How full something is, as a bar and in words."""
    high = "" if limit <= 0 else f' high="{limit * 0.8:g}"'
    said = f"{value:,.0f} of {limit:,.0f} {safe(unit)}"
    return Markup(
        f'<meter min="0" max="{max(limit, 1):g}"{high} value="{value:g}" aria-label="{said}">'
        f"</meter> {said}"
    )


def progress(value: float, limit: float, unit: str) -> Markup:
    said = f"{value:,.0f} of {limit:,.0f} {safe(unit)}"
    return Markup(
        f'<progress max="{max(limit, 1):g}" value="{value:g}" aria-label="{said}"></progress>'
        f" {said}"
    )


def plot(name: str, values: Sequence[float], unit: str = "", *, floor: float = 1.0) -> str:
    """A line of the last values, with the newest and the highest in words."""
    width, height = 180.0, 36.0
    top = max([floor, *values])
    step = width / max(1, len(values) - 1)
    points = " ".join(
        f"{n * step:.1f},{height - v / top * height:.1f}" for n, v in enumerate(values)
    )
    now, most = (values[-1], max(values)) if values else (0.0, 0.0)
    said = f"{safe(name)}: {now:,.4g}{safe(unit)}, at most {most:,.4g}{safe(unit)}"
    return (
        f'<figure><figcaption>{said}</figcaption><svg role="img" aria-label="{said}"'
        f' viewBox="0 -2 {width:g} {height + 4:g}" width="{width:g}" height="{height + 4:g}">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        "</svg></figure>"
    )


def graph(edges: Mapping[str, Sequence[str]]) -> str:
    """Who needs whom, from left to right: an arrow points at what is needed."""
    levels = _levels(edges)
    places: dict[str, tuple[float, float]] = {}
    for name in edges:
        row = sum(1 for other in places if levels[other] == levels[name])
        places[name] = (10.0 + levels[name] * 170, 8.0 + row * 40)
    width = max((x for x, _ in places.values()), default=0.0) + 150
    height = max((y for _, y in places.values()), default=0.0) + 38
    arrows = "".join(
        f'<path d="M{places[name][0]:g} {places[name][1] + 14:g} L{places[need][0] + 134:g}'
        f' {places[need][1] + 14:g}" stroke="currentColor" fill="none" marker-end="url(#sbk-tip)"/>'
        for name, needs in edges.items()
        for need in needs
        if need in places
    )
    boxes = "".join(
        f'<rect x="{x:g}" y="{y:g}" width="130" height="28" rx="6" fill="none"'
        f' stroke="currentColor"/>'
        f'<text x="{x + 65:g}" y="{y + 18:g}" text-anchor="middle" font-size="12"'
        f' fill="currentColor">{safe(name if len(name) < 19 else name[:17] + "…")}</text>'
        for name, (x, y) in places.items()
    )
    said = "; ".join(f"{name} needs {', '.join(needs)}" for name, needs in edges.items() if needs)
    return (
        f'<svg role="img" aria-label="{safe(said or "no plugin needs another")}"'
        f' viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">'
        '<defs><marker id="sbk-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8"'
        ' markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="currentColor"/></marker>'
        f"</defs>{arrows}{boxes}</svg>"
    )


def _levels(edges: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How far each is from those that need nothing; a circle ends where it began."""
    found: dict[str, int] = {}

    def level(name: str, above: frozenset[str]) -> int:
        if name not in found:
            needs = [need for need in edges.get(name, ()) if need not in above]
            deep = [level(need, above | {name}) for need in needs if need in edges]
            found[name] = max(deep, default=-1) + 1
        return found[name]

    for name in edges:
        level(name, frozenset({name}))
    return found


def _cell(value: object) -> str:
    if isinstance(value, Markup):
        return f"<td>{value}</td>"
    if _is_number(value):
        return f'<td class="n">{value:,}</td>'
    return f"<td>{words(str(value), 400)}</td>"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
