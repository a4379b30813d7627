"""Complete the OpenAPI document: describe every field and parameter, and show an example of every answer."""

from collections.abc import Iterator
from typing import Any

from app.http.field_descriptions import FIELDS, MODEL_FIELDS, NESTED, FieldText
from app.http.parameter_descriptions import PARAMETERS

JsonSchema = dict[str, Any]
_MAX_DEPTH = 8
_NULL_SCHEMA = {"type": "null"}


def complete_document(document: JsonSchema) -> None:
    """Add missing descriptions and examples of fields and parameters, and missing examples of responses."""
    schemas: dict[str, JsonSchema] = document["components"]["schemas"]
    for model, schema in schemas.items():
        for name, field in schema.get("properties", {}).items():
            _describe_field(field, MODEL_FIELDS.get(f"{model}.{name}") or _find_text(name, field, schemas))
    for tag in document["tags"]:
        tag["name"] = _capitalize_tag(tag["name"])
    for operation in _list_operations(document):
        operation["tags"] = [_capitalize_tag(tag) for tag in operation["tags"]]
        for parameter in operation.get("parameters", ()):
            _describe_parameter(parameter)
        for status, answer in operation["responses"].items():
            media = answer.get("content", {}).get("application/json")
            if status.startswith("2") and media is not None and "example" not in media:
                media["schema"].pop("title", None)  # made of the function's name
                media["example"] = build_example(media["schema"], schemas)


def _capitalize_tag(tag: str) -> str:
    return tag[:1].upper() + tag[1:]


def _list_operations(document: JsonSchema) -> Iterator[JsonSchema]:
    for item in document["paths"].values():
        yield from (operation for operation in item.values() if "responses" in operation)


def _find_text(name: str, field: JsonSchema, schemas: dict[str, JsonSchema]) -> FieldText | None:
    """Return the text of a field's name, None if the field consists of models and the text is of a value."""
    text = FIELDS.get(name)
    inner = (field, field.get("items", {}), *field.get("anyOf", ()))
    models = [schemas[item["$ref"].rpartition("/")[2]] for item in inner if "$ref" in item]
    is_nested = any("properties" in model for model in models)
    return None if text and is_nested and isinstance(text.example, str) else text


def _describe_field(field: JsonSchema, text: FieldText | None) -> None:
    """Add description and example, where the field has none of its own."""
    field.pop("title", None)  # repeats the name
    if text is None:
        return
    field.setdefault("description", text.description)
    if text.example is not NESTED:
        field.setdefault("examples", [text.example])


def _describe_parameter(parameter: JsonSchema) -> None:
    text = PARAMETERS.get(parameter["name"]) or FIELDS.get(parameter["name"])
    parameter["schema"].pop("title", None)
    if text is not None:
        parameter.setdefault("description", text.description)
        if text.example is not None:
            parameter.setdefault("example", text.example)


def build_example(
    schema: JsonSchema, schemas: dict[str, JsonSchema], depth: int = 0
) -> Any:  # any JSON value
    """Return an example of a schema, made of the examples of its fields."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "$ref" in schema:
        return build_example(schemas[schema["$ref"].rpartition("/")[2]], schemas, depth)
    if "anyOf" in schema:
        return build_example(next(part for part in schema["anyOf"] if part != _NULL_SCHEMA), schemas, depth)
    return _build_by_type(schema, schemas, depth + 1)


def _build_by_type(schema: JsonSchema, schemas: dict[str, JsonSchema], depth: int) -> Any:  # any JSON value
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object":
            return _build_object(schema, schemas, depth)
        case "array":
            return [build_example(schema["items"], schemas, depth)] if depth < _MAX_DEPTH else []
        case "string":
            return FIELDS["portfolio_name"].example
        case _:
            return schema.get("default")


def _build_object(schema: JsonSchema, schemas: dict[str, JsonSchema], depth: int) -> JsonSchema:
    fields = schema.get("properties")
    if fields is None:
        values = schema.get("additionalProperties")
        return (
            {FIELDS["symbol"].example: build_example(values, schemas, depth)}
            if isinstance(values, dict)
            else {}
        )
    return {name: build_example(field, schemas, depth) for name, field in fields.items()}
