"""The table of the scheduled verification of hash chains."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Instant


class ChainVerificationRow(Base):
    """The verification progress of a hash chain.

    `rules.segments.Checkpoint` documents the sequences and hashes. `portfolio_id` is 0 for an
    audit log. `checked_at` is the end of the last run; `failure` states why the chain was broken then.
    """

    __tablename__ = "chain_verifications"
    __table_args__ = (CheckConstraint("kind IN ('audit', 'ledger', 'cash')", name="kind_is_known"),)

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(6), primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    verified_sequence: Mapped[int] = mapped_column(BigInteger)
    verified_hash: Mapped[str] = mapped_column(String(64))
    repeated_sequence: Mapped[int] = mapped_column(BigInteger)
    repeated_hash: Mapped[str] = mapped_column(String(64))
    checked_at: Mapped[datetime] = mapped_column(Instant)
    failure: Mapped[str | None] = mapped_column(Text)
