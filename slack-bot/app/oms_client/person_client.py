"""Read from the OMS and change it on behalf of one person."""

from typing import Any

from app.errors import OutcomeUnknown
from app.oms_client.client import OmsClient
from app.oms_client.person import Person

QueryParameters = dict[str, str]
NO_CONTENT = 204


class PersonClient:
    """Calls of the OMS for a person, with the request id of the request from Slack.

    Every method raises `OmsError`.
    """

    def __init__(self, oms: OmsClient, person: Person, request_id: str):
        self._oms = oms
        self._person = person
        self._request_id = request_id

    def _read_json(self, path: str, params: QueryParameters | None = None) -> Any:
        """Return the JSON of a read. None if the OMS does not know what the path names."""
        return self._oms.read(
            self._person, f"/api/v1{path}", params or {}, request_id=self._request_id, absent=None
        )

    def _write_json(self, method: str, path: str, body: dict[str, Any], key: str) -> Any:
        response = self._oms.write(
            self._person, method, f"/api/v1{path}", body, key=key, request_id=self._request_id
        )
        if response.status_code == NO_CONTENT:
            return None
        try:
            return response.json()
        except ValueError:
            raise OutcomeUnknown("The OMS returned a response that is not JSON.") from None
