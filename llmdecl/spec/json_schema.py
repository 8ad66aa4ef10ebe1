"""The spec's JSON Schema, generated from the models: closed objects, every key described."""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from llmdecl.spec.schema import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """A key that is left out has no value; null is none either."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """`X | None` is X: the key may be left out, not null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Without `default`: defaults belong to the plan."""
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # pydantic's signature
        """A key's name is title enough."""
        return False


def json_schema() -> str:
    """The schema as text; the same bytes each time."""
    tree = Spec.model_json_schema(schema_generator=_Generator)
    head = {"$schema": DIALECT, "title": "llmdecl"}
    return json.dumps({**head, **_without_titles(tree)}, indent=2, ensure_ascii=False) + "\n"


def _without_titles(tree: Any) -> Any:
    """The names of Python's classes are nobody's business. A property may be called `title`."""
    match tree:
        case dict():
            return {
                key: {name: _without_titles(below) for name, below in value.items()}
                if key in ("properties", "$defs")
                else _without_titles(value)
                for key, value in tree.items()
                if key != "title"
            }
        case list():
            return [_without_titles(each) for each in tree]
        case _:
            return tree
