"""The tables of docs/results.md: every field of results.json and baseline.json, and its range."""

from __future__ import annotations

from typing import Any

from evidence import markdown
from pydantic import TypeAdapter

from cxrbench.gate.baseline import Baseline
from cxrbench.study.results import Results

_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minItems": "at least {}",
    "minLength": "at least {} characters",
    "pattern": "`{}`",
}


def results() -> str:
    """Every record within results.json, a table each."""
    return _tables(Results)


def baseline() -> str:
    """The fields of baseline.json."""
    return _tables(Baseline)


def _tables(kind: Any) -> str:
    schema = TypeAdapter(kind).json_schema()
    definitions = schema.pop("$defs", {})
    blocks = [_table(kind.__name__, schema)]
    blocks += [_table(name, definitions[name]) for name in sorted(definitions)]
    return "\n\n".join(blocks)


def _table(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (f"`{field}`" + ("" if field in required else " (may be left out)"), _type(value), _range(value))
        for field, value in schema["properties"].items()
    ]
    return f"### {name}\n\n" + markdown(("field", "type", "range"), rows, cells="left")


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        return value["$ref"].rpartition("/")[2]
    if "anyOf" in value:
        return " or ".join(_type(each) for each in value["anyOf"])
    if "enum" in value:
        return " or ".join(f"`{each}`" for each in value["enum"])
    kind = value.get("type", "anything")
    if kind == "array" and "prefixItems" in value:
        return f"list of {len(value['prefixItems'])} {_type(value['prefixItems'][0])}s"
    if kind == "array":
        return f"list of {_type(value['items'])}"
    if kind == "object":
        within = value.get("additionalProperties")
        return f"name → {_type(within)}" if isinstance(within, dict) else "name → anything"
    return str(kind)


def _range(value: dict[str, Any]) -> str:
    found = [text.format(value[key]) for key, text in _BOUNDS.items() if key in value]
    for inner in (value.get("items"), value.get("additionalProperties"), *value.get("anyOf", ())):
        if isinstance(inner, dict) and "$ref" not in inner:
            found += [text.format(inner[key]) for key, text in _BOUNDS.items() if key in inner]
    return ", ".join(dict.fromkeys(found)).replace("|", r"\|")
