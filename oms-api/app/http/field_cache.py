"""Fast validation of flat JSON objects, which reuses the results of earlier requests.

Symbols, sides, names and amounts repeat. A dictionary finds the result of a text in a tenth of the time that
its validation takes.
"""

from collections.abc import Callable, Collection
from functools import cache
from typing import Annotated, Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from app.http.json import JsonNumber

ModelT = TypeVar("ModelT", bound=BaseModel)
MAX_TEXTS, MAX_TEXT_LENGTH = 4096, 100  # of the texts and numbers that are cached per field
# A text, a whole number, or the characters of a number that keeps them.
CacheKey = str | int | tuple[str]
_NO_EXTRA_STATE: dict[Any, Any] = {"__pydantic_extra__": None, "__pydantic_private__": None}


class FieldCache(Generic[ModelT]):
    """Validates JSON objects of one model field by field. Not thread-safe."""

    def __init__(self, model: type[ModelT]) -> None:
        self._model = model
        self._fields: dict[str, tuple[Callable[[Any], Any], dict[CacheKey, Any]]] = {
            name: (_build_validator(field_info), {}) for name, field_info in model.model_fields.items()
        }
        self._defaults = {
            name: field_info.default
            for name, field_info in model.model_fields.items()
            if not field_info.is_required()
        }
        self._required = {name for name, field_info in model.model_fields.items() if field_info.is_required()}
        decorators = model.__pydantic_decorators__.model_validators.values()
        self._checks: list[Any] = [
            decorator.func for decorator in decorators if decorator.info.mode == "after"
        ]
        self._is_supported = len(self._checks) == len(decorators)

    def list_cached(self, name: str) -> Collection[CacheKey]:
        """Return the texts and numbers of a field whose results are cached."""
        return self._fields[name][1].keys()

    def parse(self, body: bytes) -> ModelT | None:
        """Return the object in `body`, or None if it is invalid, nested or written unusually.

        None does not mean that the body is invalid: the caller then validates it as a whole. Numbers that are
        fractions or 0 also give None, because a binary float may lose digits, and 0 may be written "-0".
        """
        if b"\\" in body or not self._is_supported:
            return None
        try:
            content = orjson.loads(body)
            if type(content) is not dict:
                return None
            values, texts = self._validate_fields(content)
            # Without escapes, each name and text has two quotation marks. More of them: a name occurs twice.
            return self._create_model(values) if body.count(b'"') == 2 * (len(content) + texts) else None
        except (ValueError, LookupError, RecursionError):  # from orjson, pydantic and the code above
            return None

    def validate(self, content: object) -> ModelT | None:
        """Return the object that `parse_json` read, or None if it is invalid or nested."""
        if type(content) is not dict or not self._is_supported:
            return None
        try:
            return self._create_model(self._validate_fields(content)[0])
        except (ValueError, LookupError):  # from pydantic and the code above
            return None

    def _create_model(self, values: dict[str, Any]) -> ModelT | None:
        """Return a checked model, created as unpickling does it. `model_construct` takes ten times as long.

        Return None if a required field is missing. Raises ValueError.
        """
        if not self._required <= values.keys():
            return None
        model = self._model.__new__(self._model)
        state = {"__dict__": self._defaults | values, "__pydantic_fields_set__": set(values)}
        model.__setstate__(state | _NO_EXTRA_STATE)
        for check in self._checks:
            check(model)
        return model

    def _validate_fields(self, content: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """Return the validated values, and the number of texts among them. Raises ValueError or KeyError."""
        values, texts = {}, 0
        for name, value in content.items():
            validate, cached_values = self._fields[name]
            if type(value) is str:
                texts += 1
                values[name] = (
                    cached_values[value]
                    if value in cached_values
                    else _cache_value(cached_values, value, validate(value))
                )
            elif type(value) is int and value:
                if value not in cached_values:
                    _cache_value(cached_values, value, validate(JsonNumber(str(value))))
                values[name] = cached_values[value]
            elif type(value) is JsonNumber:
                key = (value.text,)  # a text of the same characters may be invalid, or mean something else
                values[name] = (
                    cached_values[key]
                    if key in cached_values
                    else _cache_value(cached_values, key, validate(value))
                )
            elif value is None or type(value) is bool:
                values[name] = validate(value)
            else:
                raise ValueError(name)
        return values, texts


def _build_validator(field_info: FieldInfo) -> Callable[[Any], Any]:
    field: Any = Annotated[field_info.annotation, field_info]
    validate: Callable[[Any], Any] = TypeAdapter(field).validate_python
    return validate


def _cache_value(
    cached_values: dict[CacheKey, Any], key: CacheKey, value: Any
) -> Any:  # the value of any field
    """Cache the value of a text or number for later requests, and return it."""
    text = key[0] if isinstance(key, tuple) else key
    if isinstance(text, int) or len(text) <= MAX_TEXT_LENGTH:
        if len(cached_values) >= MAX_TEXTS:
            cached_values.clear()
        cached_values[key] = value
    return value


@cache
def get_field_cache(model: type[ModelT]) -> FieldCache[ModelT]:
    """Return the cache of a model. Each process has one."""
    return FieldCache(model)
