"""Write docs/api.md from the API's own description; `tests/web/test_openapi.py` holds it to that.

python -m checks.api_page
"""

import sys
from typing import Any

from checks.files import ROOT
from sessionbot_kit.rest import OPERATIONS, document

PAGE = ROOT / "docs" / "api.md"
WHO = {"session": "one's own session", "watch": "`watch`", "admin": "`admin`"}
HEAD = (
    "# The API, operation by operation\n\n"
    "Written from the description that a running bot gives of itself at `/api/openapi.json`; do "
    "not edit it by hand, run\n`python -m checks.api_page`. How to use it is in [web.md](web.md). "
    "Refusals are problem details (RFC 9457) with a `code`.\n\n"
)


def page() -> str:
    """The page as it should be."""
    described = document(OPERATIONS)
    parts = [HEAD]
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            parts.append(_operation(method.upper(), path, told))
    parts.append("## Shapes\n\n| shape | fields |\n|---|---|\n")
    for name, shape in sorted(described["components"]["schemas"].items()):
        fields = ", ".join(f"`{field}`" for field in shape.get("properties", {}))
        parts.append(f"| {name} | {fields} |\n")
    return "".join(parts)


def _operation(method: str, path: str, told: dict[str, Any]) -> str:
    lines = [f"## {method} {path}\n\n{told['summary']}.\n\n"]
    security = told.get("security")
    lines.append(f"Token: {WHO[next(iter(security[0]))] if security else 'none'}.\n")
    for each in told.get("parameters", ()):
        needed = ", needed" if each["required"] else ""
        lines.append(f"- `{each['name']}` ({each['in']}{needed}): {each['description']}\n")
    if body := told.get("requestBody"):
        lines.append(f"- body: {_content(body['content'])}\n")
    lines.append("\n| status | what it means | content |\n|---|---|---|\n")
    for status, answer in told["responses"].items():
        content = _content(answer.get("content", {}))
        lines.append(f"| {status} | {answer['description']} | {content} |\n")
    return "".join(lines) + "\n"


def _content(content: dict[str, Any]) -> str:
    shown = []
    for kind, media in content.items():
        schema = media.get("schema", {})
        names = [
            each["$ref"].rpartition("/")[2]
            for each in schema.get("anyOf", [schema])
            if "$ref" in each
        ]
        shown.append(", ".join(names) if names else kind)
    return ", ".join(shown) or "nothing"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.stdout.write(f"{PAGE}\n")
