"""Responses of the simulated Web API."""

import pytest
from slack_sdk.errors import SlackApiError


def get_error(call, *args, **kwargs):
    with pytest.raises(SlackApiError) as caught:
        call(*args, **kwargs)
    return caught.value.response["error"]
