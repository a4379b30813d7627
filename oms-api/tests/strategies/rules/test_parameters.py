"""Parameters by their descriptions: the same checks as by the strategy's class."""

from decimal import Decimal

import pytest

from app.errors import Invalid
from app.strategies.rules.parameters import (
    MAX_PARAMETERS,
    build_parameters,
    describe_parameters,
    parse_parameters,
    serialize_parameters,
)
from slackoms_strategy import (
    BooleanParameter,
    DecimalParameter,
    IntegerParameter,
    ParameterDescription,
    Strategy,
    TextParameter,
    list_parameters,
)


class Mine(Strategy):
    """One parameter of each type."""

    fast = IntegerParameter(10, "Bars.", minimum=1, maximum=50)
    ratio = DecimalParameter("0.5", "Ratio.", minimum=0)
    is_long = BooleanParameter(True, "Long.")
    mode = TextParameter("a", "Mode.", choices=("a", "b"))


DESCRIBED = [parameter.describe() for parameter in list_parameters(Mine)]
WHOLE = DESCRIBED[0]


def test_descriptions_survive_and_values_equal_the_class():
    assert [parameter.describe() for parameter in list_parameters(build_parameters(DESCRIBED))] == DESCRIBED
    values = {"fast": "20", "ratio": 1, "is_long": "false", "mode": "b"}
    expected = vars(Mine(**values))
    assert parse_parameters(DESCRIBED, values) == expected
    assert parse_parameters(DESCRIBED, {}) == vars(Mine())
    assert serialize_parameters(expected) == '{"fast":20,"is_long":false,"mode":"b","ratio":"1"}'
    parameters = describe_parameters(DESCRIBED)
    assert (parameters[0]["maximum"], parameters[3]["choices"]) == ("50", ["a", "b"])


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"fast": 0}, "parameters.fast"),
        ({"fast": 51}, "parameters.fast"),
        ({"ratio": Decimal(-1)}, "parameters.ratio"),
        ({"mode": "c"}, "parameters.mode"),
        ({"speed": 1}, "parameters.speed"),
    ],
)
def test_wrong_value_is_refused_by_field(values, field):
    with pytest.raises(Invalid) as caught:
        parse_parameters(DESCRIBED, values)
    assert [error.field for error in caught.value.errors] == [field]


@pytest.mark.parametrize(
    "description",
    [
        WHOLE._replace(type="a colour"),
        WHOLE._replace(name="two words"),
        WHOLE._replace(name="__slots__"),
        WHOLE._replace(default="many"),
        WHOLE._replace(maximum="1e5"),
        ParameterDescription("ratio", "a number", "x", "", None, None, ()),
        ParameterDescription("ratio", "a number", "1", "", "NaN", None, ()),
        ParameterDescription("ratio", "true or false", "maybe", "", None, None, ()),
    ],
)
def test_wrong_description_is_refused(description):
    with pytest.raises(ValueError, match="its parameter"):
        build_parameters([description])


def test_number_of_parameters_is_limited():
    with pytest.raises(ValueError, match="more than 100 parameters"):
        build_parameters([WHOLE] * (MAX_PARAMETERS + 1))
