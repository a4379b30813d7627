"""Request bodies: content type, strict JSON, validation by a pydantic model, and a list of all errors."""

from collections.abc import Callable, Coroutine, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.errors import Invalid, Malformed, UnsupportedMediaType
from app.http.field_cache import get_field_cache
from app.http.json import parse_json
from app.http.problems import UNKNOWN_FIELD, build_field_errors
from app.http.responses import document_problems

ModelT = TypeVar("ModelT", bound=BaseModel)
_UTF_8 = {b"", b"charset=utf-8", b'charset="utf-8"', b"charset=us-ascii"}
_MAX_NAME_LENGTH = 40  # the maximum length of an unknown field that is compared with known ones
BODY_MODELS: dict[str, type[BaseModel]] = {}  # models that the OpenAPI document must describe, by name


def read_json(content_type: bytes, body: bytes) -> Any:  # any JSON value
    """Parse the JSON body. Raises UnsupportedMediaType or Malformed."""
    if content_type != b"application/json" and not _is_json(content_type):
        raise UnsupportedMediaType("Send the body as application/json, in UTF-8.")
    if not body:
        raise Malformed("The body is empty; send a JSON object.")
    return parse_json(body)


def _is_json(content_type: bytes) -> bool:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(b";"))
    return media_type == b"application/json" and all(part in _UTF_8 for part in parameters)


def parse_model(model: type[ModelT], content_type: bytes, body: bytes) -> ModelT:
    """Parse the JSON body as `model`. Raises UnsupportedMediaType, Malformed or Invalid."""
    if content_type == b"application/json":
        parsed_body: ModelT | None = get_field_cache(model).parse(body)
        if parsed_body is not None:
            return parsed_body
    return validate_model(model, read_json(content_type, body))


def validate_model(model: type[ModelT], value: object, at: tuple[str, ...] = ()) -> ModelT:
    """Validate `value` as `model`. Raises Invalid with each invalid field's path below `at`.

    For an unknown field, the model's `OTHER_NAMES` may suggest what to send instead.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        hinted = (_add_hint(dict(detail), model, detail["loc"][:-1]) for detail in details)
        raise build_invalid_error([{**item, "loc": (*at, *item["loc"])} for item in hinted]) from None


def validate_flat(model: type[ModelT], value: object, at: tuple[str, ...] = ()) -> ModelT:
    """Validate as `validate_model`, with the results of earlier requests where the object is flat."""
    validated: ModelT | None = get_field_cache(model).validate(value)
    return validate_model(model, value, at) if validated is None else validated


def _add_hint(
    detail: dict[str, Any], model: type[BaseModel], parents: tuple[str | int, ...]
) -> dict[str, Any]:
    """Add a suggestion to the error of an unknown field, if there is one."""
    if detail["type"] != UNKNOWN_FIELD:
        return detail
    hints: Mapping[str, str] = getattr(model, "OTHER_NAMES", {})
    name = str(detail["loc"][-1])
    hint = hints.get(name) or _suggest_field(name, _find_model_at(model, parents))
    return {**detail, "ctx": {"hint": hint}} if hint else detail


def _suggest_field(name: str, model: type[BaseModel] | None) -> str | None:
    """Return a question that suggests the field with the most similar name, or None."""
    fields = () if model is None else model.model_fields
    close_matches = get_close_matches(name[:_MAX_NAME_LENGTH].lower(), fields, n=1)
    return f"Did you mean `{close_matches[0]}`?" if close_matches else None


def _find_model_at(model: type[BaseModel], path: tuple[str | int, ...]) -> type[BaseModel] | None:
    """Return the model of the object at the path below `model`, or None if unknown."""
    submodel: type[BaseModel] | None = model
    for part in path:
        if submodel is None or isinstance(part, int):
            continue
        field = submodel.model_fields.get(part)
        submodel = None if field is None else _find_model_in(field.annotation)
    return submodel


def _find_model_in(annotation: Any) -> type[BaseModel] | None:  # any annotation of a field
    """Return the model in an annotation such as `Leg | None` or `list[Leg]`, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_find_model_in, get_args(annotation))), None)


def build_invalid_error(details: list[dict[str, Any]], skip: tuple[str, ...] = ()) -> Invalid:
    """Return an error with pydantic's errors."""
    errors = build_field_errors(details, skip)
    return Invalid(
        f"{len(errors)} field{' is' if len(errors) == 1 else 's are'} not valid; see `errors`.", errors
    )


def json_body(
    model: type[ModelT], example: dict[str, Any], *, is_required: bool = True
) -> Callable[[Request], Coroutine[Any, Any, ModelT]]:
    """Return a FastAPI dependency that parses the body as `model`. It describes the body with `example`.

    Declare it after the caller, which is checked first. A body that is not required may be left out: then no
    field is set.
    """

    async def read(request: Request) -> ModelT:
        content = await request.body()
        if not content and not is_required:
            return model()
        content_type = request.headers.get("content-type", "").encode("latin-1")
        return validate_model(model, read_json(content_type, content))

    read.describes = describe_body(model, example, is_required=is_required)  # type: ignore[attr-defined]  # for OpenAPI
    return read


def describe_body(
    model: type[BaseModel], example: dict[str, Any], *, is_required: bool = True
) -> dict[str, Any]:
    """Return the OpenAPI description of an operation with this body.

    Raises ValueError if another model has the same name, because the document lists models by name.
    """
    if BODY_MODELS.setdefault(model.__name__, model) is not model:
        raise ValueError(f"two models of request bodies have the name {model.__name__}")
    content = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "example": example}
    body = {"required": is_required, "content": {"application/json": content}}
    return {"requestBody": body, "responses": document_problems(413, 415)}
