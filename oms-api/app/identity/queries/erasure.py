"""Statements that remove the data about a person."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, or_, update

from app.identity.models import AdminRequest, Login


def delete_login(connection: Connection, tenant_id: int, user_id: int) -> None:
    """Delete the e-mail address and password hash of a user."""
    connection.execute(delete(Login).where(Login.tenant_id == tenant_id, Login.user_id == user_id))


def clear_responses(connection: Connection, tenant_id: int, names: Sequence[str]) -> None:
    """Empty the stored responses of administrative requests that contain one of the names."""
    contains = or_(*(AdminRequest.answer.contains(f'"{name}"', autoescape=True) for name in names))
    statement = update(AdminRequest).where(AdminRequest.tenant_id == tenant_id, contains)
    connection.execute(statement.values(answer=None))
