"""Updates of users, shared by the routes of users and of roles."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Response
from sqlalchemy import Connection

from app.http.dependencies import ReadersDep
from app.identity.dependencies.change_requests import ChangeExecutorDep, build_response
from app.identity.queries.users import UserRow
from app.identity.rules.administration import UserChanges
from app.identity.service import users as service
from app.identity.service.change_executor import ChangeRequest


@dataclass(frozen=True, slots=True)
class UserUpdater:
    """Changes users. One instance per request."""

    readers: ReadersDep
    change_executor: ChangeExecutorDep

    async def change(
        self, request: ChangeRequest, user_id: int, changes: UserChanges, status: int = 200
    ) -> Response:
        """Change a user of the caller's tenant and return the response.

        Raises NoSuchUser, and the service's errors.
        """
        tenant_id = request.caller.tenant_id

        def read(connection: Connection) -> UserRow:
            return service.get_user(connection, tenant_id, user_id)

        user = await self.readers.run(read, tenant_id)
        return build_response(
            await service.update_user(self.change_executor, request, user, changes, status=status)
        )


UserUpdaterDep = Annotated[UserUpdater, Depends()]
