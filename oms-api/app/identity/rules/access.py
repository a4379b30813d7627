"""Roles, scopes, and the table of the operations that each of them allows."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

FIRST_TENANT = 1


class Scope(StrEnum):
    """A permission of a key. Only the operator's key has TENANTS, which creates and suspends tenants.

    BOT is for a Slack bot: it reads the tenant's events, the orders and the reports that they name, manages
    its own webhooks, and reports which people were deactivated in Slack.
    """

    READ = "read"
    TRADE = "trade"
    APPROVE = "approve"
    RISK = "risk"
    ADMIN = "admin"
    ACT_AS = "act_as"
    BOT = "bot"
    TENANTS = "tenants"


class Role(StrEnum):
    """The role of a user in a tenant."""

    VIEWER = "viewer"
    TRADER = "trader"
    APPROVER = "approver"
    RISK = "risk"
    ADMIN = "admin"


_READ, _TRADE, _RISK, _ADMIN = Scope.READ, Scope.TRADE, Scope.RISK, Scope.ADMIN
_APPROVE = Scope.APPROVE

SCOPES_OF_ROLE: dict[Role, frozenset[Scope]] = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.TRADER: frozenset({Scope.READ, Scope.TRADE}),
    Role.APPROVER: frozenset({Scope.READ, Scope.TRADE, Scope.APPROVE}),
    Role.RISK: frozenset({Scope.READ, Scope.RISK}),
    Role.ADMIN: frozenset(Scope) - {Scope.TENANTS},
}

# A key's scope implies the scopes below it. `act_as` alone only allows acting for people.
_IMPLIED_SCOPES: dict[Scope, frozenset[Scope]] = {
    Scope.READ: frozenset(),
    Scope.TRADE: frozenset({Scope.READ}),
    Scope.APPROVE: frozenset({Scope.READ}),
    Scope.RISK: frozenset({Scope.READ}),
    Scope.ADMIN: frozenset(Scope) - {Scope.TENANTS},
    Scope.ACT_AS: frozenset(),
    Scope.BOT: frozenset(),
    Scope.TENANTS: frozenset(),
}
# A key that acts for a person does not gain these scopes from that person.
_NOT_DELEGABLE = frozenset({Scope.ADMIN, Scope.ACT_AS, Scope.BOT, Scope.TENANTS})


class Operation(StrEnum):
    """An operation of the API."""

    READ_BOOKS = "read_books"
    READ_ORDER = "read_order"
    READ_EVENTS = "read_events"
    READ_EXPORTS = "read_exports"
    REPORT_TRADE = "report_trade"
    REVERSE_TRADE = "reverse_trade"
    ESTIMATE_COSTS = "estimate_costs"
    PREVIEW_ORDER = "preview_order"
    PLACE_ORDER = "place_order"
    CHANGE_ORDER = "change_order"
    CANCEL_ORDER = "cancel_order"
    CLOSE_POSITION = "close_position"
    DECIDE_APPROVAL = "decide_approval"
    REQUEST_OVERRIDE = "request_override"
    SET_LIMIT = "set_limit"
    SET_KILL_SWITCH = "turn_switch"
    READ_LATCHES = "read_latches"
    RELEASE_LATCH = "release_latch"
    LIST_INSTRUMENT = "list_instrument"
    GIVE_QUOTE = "give_quote"
    SUBSCRIBE_QUOTES = "subscribe_quotes"
    EXPORT_LEDGER = "export_ledger"
    CREATE_PORTFOLIO = "create_portfolio"
    MANAGE_PORTFOLIOS = "manage_portfolios"
    MOVE_CASH = "move_cash"
    READ_METRICS = "read_metrics"
    READ_SELF = "read_self"
    MANAGE_OWN = "manage_own"
    READ_ROLES = "read_roles"
    READ_AUDIT = "read_audit"
    READ_PEOPLE = "read_people"
    MANAGE_PEOPLE = "manage_people"
    SET_SLACK_STATUS = "set_slack_status"
    MANAGE_KEYS = "manage_keys"
    READ_TENANTS = "read_tenants"
    MANAGE_TENANT = "manage_tenant"
    MAKE_TENANT = "make_tenant"
    CLAIM_WORKSPACE = "claim_workspace"
    SET_CALENDAR = "set_calendar"
    CLOSE_DAY = "close_day"
    BOOK_CORPORATE_ACTION = "book_corporate_action"
    BUST_EXECUTION = "bust_execution"
    MANAGE_WEBHOOKS = "manage_webhooks"
    READ_BROKERS = "read_brokers"
    MANAGE_BROKERS = "manage_brokers"
    ENABLE_LIVE = "enable_live"
    LOG_IN_BROKER = "log_in_broker"
    RECONCILE = "reconcile"
    MANAGE_SIGNALS = "manage_signals"
    MANAGE_STRATEGIES = "manage_strategies"
    CHANGE_STRATEGY = "change_strategy"
    START_STRATEGY = "start_strategy"
    STOP_STRATEGY = "stop_strategy"
    RUN_BACKTEST = "run_backtest"
    RUN_JOB = "run_job"
    FOLLOW_SLACK = "follow_slack"


@dataclass(frozen=True, slots=True)
class PermissionRule:
    """One row of the table. A caller needs one of `required_scopes`.

    - `allows_restricted_callers`: callers who are restricted to some portfolios may call the operation.
    - `operator_only`: only keys of the first tenant, which is the operator's, may call it.
    - `requires_person`: only named persons may call it, and not keys that act for no person.
    """

    required_scopes: frozenset[Scope]
    allows_restricted_callers: bool = True
    operator_only: bool = False
    requires_person: bool = False

    def list_roles(self) -> list[Role]:
        """Return the roles that allow the operation, in the order of their definition."""
        return [
            role for role in Role if SCOPES_OF_ROLE[role] & self.required_scopes and not self.operator_only
        ]


def _rule(*scopes: Scope, requires_person: bool = False) -> PermissionRule:
    return PermissionRule(frozenset(scopes), requires_person=requires_person)


def _unrestricted_rule(
    *scopes: Scope, operator_only: bool = False, requires_person: bool = False
) -> PermissionRule:
    return PermissionRule(frozenset(scopes), False, operator_only, requires_person)


#                                    any of these scopes    roles that have one of them
PERMISSION_RULES: dict[Operation, PermissionRule] = {
    Operation.READ_SELF: _rule(_READ),                      # everybody
    Operation.MANAGE_OWN: _rule(_READ),                     # everybody: own preferences and alerts
    Operation.READ_BOOKS: _rule(_READ),                     # everybody
    Operation.READ_ORDER: _rule(_READ, Scope.BOT),          # everybody, and the bot's key
    # everybody, and the bot's key where the OMS has reports for Slack
    Operation.READ_EXPORTS: _rule(_READ, Scope.BOT),
    # everybody, and the bot's key: the events cover all portfolios
    Operation.READ_EVENTS: _unrestricted_rule(_READ, Scope.BOT),
    Operation.READ_ROLES: _rule(_READ),                     # everybody
    Operation.ESTIMATE_COSTS: _rule(_READ),                 # everybody
    Operation.REPORT_TRADE: _rule(_TRADE),                  # trader, approver, admin
    Operation.REVERSE_TRADE: _rule(_TRADE),                 # trader, approver, admin
    Operation.PREVIEW_ORDER: _rule(_TRADE),                 # trader, approver, admin
    Operation.PLACE_ORDER: _rule(_TRADE),                   # trader, approver, admin
    Operation.CHANGE_ORDER: _rule(_TRADE),                  # trader, approver, admin
    Operation.CANCEL_ORDER: _rule(_TRADE, _RISK),           # trader, approver, risk, admin
    Operation.BUST_EXECUTION: _rule(_RISK, _ADMIN),         # risk, admin
    Operation.CLOSE_POSITION: _rule(_TRADE),                # trader, approver, admin
    # The portfolio's policy names the approvers among the people who may decide at all.
    # trader, approver, risk, admin
    Operation.DECIDE_APPROVAL: _rule(_TRADE, _APPROVE, _RISK, requires_person=True),
    Operation.REQUEST_OVERRIDE: _rule(_TRADE, requires_person=True),  # trader, approver, admin
    Operation.SET_LIMIT: _unrestricted_rule(_RISK, _ADMIN),          # risk, admin
    Operation.SET_KILL_SWITCH: _unrestricted_rule(_RISK, _ADMIN),        # risk, admin
    Operation.READ_LATCHES: _unrestricted_rule(_READ),  # everybody: the latches cover all portfolios
    Operation.RELEASE_LATCH: _unrestricted_rule(_RISK, _ADMIN, requires_person=True),  # risk, admin
    Operation.LIST_INSTRUMENT: _unrestricted_rule(_ADMIN),           # admin
    Operation.GIVE_QUOTE: _unrestricted_rule(_ADMIN),                # admin
    Operation.SUBSCRIBE_QUOTES: _unrestricted_rule(_TRADE, _ADMIN),   # trader, approver, admin
    Operation.EXPORT_LEDGER: _unrestricted_rule(_RISK, _ADMIN),      # risk, admin
    Operation.CLOSE_DAY: _unrestricted_rule(_RISK, _ADMIN),          # risk, admin
    Operation.READ_AUDIT: _unrestricted_rule(_RISK, _ADMIN),         # risk, admin
    Operation.READ_PEOPLE: _unrestricted_rule(_RISK, _ADMIN),        # risk, admin
    Operation.READ_TENANTS: _unrestricted_rule(_ADMIN),              # admin
    Operation.CREATE_PORTFOLIO: _unrestricted_rule(_TRADE, _ADMIN),   # trader, approver, admin
    Operation.MANAGE_PORTFOLIOS: _unrestricted_rule(_ADMIN),         # admin
    Operation.MOVE_CASH: _rule(_ADMIN),                     # admin
    Operation.BOOK_CORPORATE_ACTION: _unrestricted_rule(_ADMIN),     # admin
    Operation.MANAGE_PEOPLE: _unrestricted_rule(_ADMIN),             # admin
    Operation.SET_SLACK_STATUS: _unrestricted_rule(_ADMIN, Scope.BOT),  # admin, and the bot's key
    Operation.MANAGE_KEYS: _unrestricted_rule(_ADMIN),               # admin
    Operation.MANAGE_TENANT: _unrestricted_rule(_ADMIN),             # admin
    Operation.CLAIM_WORKSPACE: _unrestricted_rule(Scope.ACT_AS),  # admin, and the bot's key
    Operation.MAKE_TENANT: _unrestricted_rule(Scope.TENANTS),  # no role: only the operator's key
    Operation.SET_CALENDAR: _unrestricted_rule(Scope.TENANTS),  # no role: it concerns all tenants
    # admin, and the bot's key for its own: events cover all portfolios
    Operation.MANAGE_WEBHOOKS: _unrestricted_rule(_ADMIN, Scope.BOT),
    Operation.READ_BROKERS: _unrestricted_rule(_READ),  # everybody: connections are the tenant's
    Operation.MANAGE_BROKERS: _unrestricted_rule(_ADMIN),            # admin
    Operation.ENABLE_LIVE: _unrestricted_rule(_ADMIN, requires_person=True),  # admin
    Operation.LOG_IN_BROKER: _unrestricted_rule(_RISK, _ADMIN),      # risk, admin
    Operation.RECONCILE: _unrestricted_rule(_RISK, _ADMIN),          # risk, admin
    Operation.MANAGE_SIGNALS: _unrestricted_rule(_ADMIN),            # admin
    Operation.MANAGE_STRATEGIES: _unrestricted_rule(_ADMIN),         # admin: they run code
    Operation.CHANGE_STRATEGY: _rule(_TRADE),               # trader, approver, admin
    Operation.START_STRATEGY: _rule(_TRADE),                # trader, approver, admin
    Operation.STOP_STRATEGY: _rule(_TRADE, _RISK),          # trader, approver, risk, admin
    Operation.RUN_BACKTEST: _rule(_TRADE),                  # trader, approver, admin
    Operation.RUN_JOB: _unrestricted_rule(_ADMIN, operator_only=True),  # no role: jobs work for all tenants
    # admin, and the bot's key: actions in Slack, and the settings for it
    Operation.FOLLOW_SLACK: _unrestricted_rule(_ADMIN, Scope.BOT),
    # no role: the metrics cover all tenants
    Operation.READ_METRICS: _unrestricted_rule(_READ, operator_only=True),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller and its rights.

    `key_id` is the key's id or "session:…". `name` is the key's name or "session". `person` is the person
    behind the caller, as "slack:T1:U1" or an e-mail address. `portfolios` holds the name keys of the
    portfolios that the caller is restricted to; None means all.
    """

    tenant_id: int
    key_id: str
    name: str
    scopes: frozenset[Scope]
    role: Role | None = None
    user_id: int | None = None
    person: str | None = None
    portfolios: frozenset[str] | None = None
    expires_at: datetime | None = None

    @property
    def actor(self) -> str:
        """The actor that the audit log records: the person, or else the key."""
        return self.person or f"key:{self.name}"

    def is_allowed(self, operation: Operation) -> bool:
        """Return whether the table allows the operation to the caller."""
        rule = PERMISSION_RULES[operation]
        if rule.operator_only and (self.tenant_id != FIRST_TENANT or self.person is not None):
            return False
        if rule.requires_person and self.person is None:
            return False
        return bool(self.scopes & rule.required_scopes) and (
            rule.allows_restricted_callers or self.portfolios is None
        )

    def can_see(self, portfolio_name_key: str) -> bool:
        """Return whether the caller may see the portfolio of that name key."""
        return self.portfolios is None or portfolio_name_key in self.portfolios


@dataclass(frozen=True, slots=True)
class Person:
    """A user of a tenant, as authentication needs it."""

    user_id: int
    person: str
    role: Role
    active: bool
    portfolios: frozenset[str] | None


def get_acting_caller(caller: Caller, person: Person) -> Caller:
    """Return the caller that acts for `person`.

    It has the person's rights. To manage users, keys and the tenant it also needs the right of the key.
    """
    scopes = SCOPES_OF_ROLE[person.role] - (_NOT_DELEGABLE - caller.scopes)
    return replace(
        caller,
        scopes=scopes,
        role=person.role,
        user_id=person.user_id,
        person=person.person,
        portfolios=intersect_portfolios(caller.portfolios, person.portfolios),
    )


def intersect_portfolios(
    first: frozenset[str] | None, second: frozenset[str] | None
) -> frozenset[str] | None:
    """Return the intersection of two portfolio restrictions. None means no restriction."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def expand_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Return all scopes that `names` imply. Raises ValueError for an unknown scope, or for none."""
    scopes = {Scope(word) for word in names}
    if not scopes:
        raise ValueError("a key needs at least one scope")
    return frozenset(scopes.union(*(_IMPLIED_SCOPES[scope] for scope in scopes)))
