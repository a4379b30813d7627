"""Parameters of a strategy: typed, documented attributes of the class with a range."""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Generic, NamedTuple, TypeVar, overload

T = TypeVar("T")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class InvalidParameter(ValueError):
    """A parameter is unknown, of the wrong type or out of its range. `name` is its name."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"Parameter `{name}` {problem}")
        self.name = name


class ParameterDescription(NamedTuple):
    """The description of a parameter in a form or a guide. Amounts are text; None means no bound."""

    name: str
    type: str
    default: str
    description: str
    minimum: str | None
    maximum: str | None
    choices: tuple[str, ...]


class Parameter(Generic[T]):
    """A parameter: a class attribute of a strategy. Instances of the strategy have its value."""

    type_name = ""

    def __init__(
        self, default: T, description: str, *, minimum: T | None = None, maximum: T | None = None,
        choices: tuple[T, ...] = (),
    ) -> None:  # fmt: skip
        self.default, self.description = default, description
        self.minimum, self.maximum, self.choices = minimum, maximum, choices
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Parameter[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> "Parameter[T] | T":
        # An instance has the value in its own dictionary, which comes before this method.
        return self if instance is None else self.default

    def parse(self, value: Any) -> T:
        """Return the value, from text too. Raises InvalidParameter."""
        try:
            converted = self._convert_value(value)
        except (ValueError, TypeError, KeyError, InvalidOperation):
            raise InvalidParameter(self.name, f"must be {self.type_name}, not {value!r}.") from None
        self._check_range(converted)
        return converted

    def describe(self) -> ParameterDescription:
        """Return the description that a form shows."""
        bounds = (None if bound is None else str(bound) for bound in (self.minimum, self.maximum))
        minimum, maximum = bounds
        choices = tuple(map(str, self.choices))
        return ParameterDescription(
            self.name, self.type_name, str(self.default), self.description, minimum, maximum, choices
        )

    def _convert_value(self, value: Any) -> T:
        raise NotImplementedError

    def _check_range(self, value: Any) -> None:
        if self.choices and value not in self.choices:
            raise InvalidParameter(self.name, f"must be one of {', '.join(map(str, self.choices))}.")
        if self.minimum is not None and value < self.minimum:
            raise InvalidParameter(self.name, f"must be at least {self.minimum}.")
        if self.maximum is not None and value > self.maximum:
            raise InvalidParameter(self.name, f"must be at most {self.maximum}.")


class IntegerParameter(Parameter[int]):
    """A whole number."""

    type_name = "a whole number"

    def _convert_value(self, value: Any) -> int:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError(value)
        return int(value)


class DecimalParameter(Parameter[Decimal]):
    """An exact number, for amounts, quantities and percentages."""

    type_name = "a number"

    def __init__(
        self, default: str | int, description: str, *, minimum: str | int | None = None,
        maximum: str | int | None = None,
    ) -> None:  # fmt: skip
        low, high = (None if bound is None else Decimal(bound) for bound in (minimum, maximum))
        super().__init__(Decimal(default), description, minimum=low, maximum=high)

    def _convert_value(self, value: Any) -> Decimal:
        number = Decimal(str(value))
        if isinstance(value, bool) or not number.is_finite():
            raise ValueError(value)
        return number


class BooleanParameter(Parameter[bool]):
    """True or false."""

    type_name = "true or false"

    def _convert_value(self, value: Any) -> bool:
        return value if isinstance(value, bool) else _WORDS[str(value).lower()]


class TextParameter(Parameter[str]):
    """A text, usually one of several choices."""

    type_name = "text"

    def _convert_value(self, value: Any) -> str:
        return str(value)


def list_parameters(owner: type) -> Iterator[Parameter[Any]]:
    """Yield the parameters of a strategy class, those of base classes first."""
    parameters: dict[str, Parameter[Any]] = {}
    for base in reversed(owner.__mro__):
        parameters |= {name: value for name, value in vars(base).items() if isinstance(value, Parameter)}
    yield from parameters.values()


def parse_parameters(owner: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all values of a strategy's parameters, defaults included. Raises InvalidParameter."""
    parameters = {parameter.name: parameter for parameter in list_parameters(owner)}
    for name in values:
        if name not in parameters:
            names = ", ".join(parameters) or "none"
            raise InvalidParameter(name, f"does not exist. The parameters are: {names}.")
    return {
        name: parameter.parse(values.get(name, parameter.default)) for name, parameter in parameters.items()
    }
