"""The table of preferences."""

from datetime import datetime

from sqlalchemy import Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Instant


class PreferencesRow(Base):
    """The preferences of a person, or of a key that acts for nobody.

    `owner` is the actor: "slack:T1:U1", an e-mail address, or "key:name". `document` is a JSON object of the
    fields that were set.
    """

    __tablename__ = "preferences"

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    owner: Mapped[str] = mapped_column(String(300), primary_key=True)
    document: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(Instant)
