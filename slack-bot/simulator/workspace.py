"""The workspaces: people, channels, and the app with its bot. The app starts in the first one."""

from dataclasses import dataclass, field

TEAM_ID = "T0DESK00001"
TEAM_NAME = "Trading Desk"
TEAM_DOMAIN = "trading-desk"
SHARED = "C0PARTNER01"
APP_ID = "A0SLACKOMS1"
BOT_ID = "B0SLACKOMS1"
BOT_USER_ID = "U0SLACKOMS1"
SYSTEM_USER_ID = "USLACKBOT"


@dataclass(frozen=True)
class Team:
    """A workspace: the app's own, or a workspace that shares a channel with it."""

    id: str
    name: str
    domain: str


HOME = Team(TEAM_ID, TEAM_NAME, TEAM_DOMAIN)
NEIGHBOR = Team("T0PARTNER02", "Partner Fund", "partner-fund")
WORKSPACES = (HOME, NEIGHBOR)


@dataclass(frozen=True)
class Person:
    """A person to act as, with the workspace that they belong to."""

    id: str
    name: str
    real_name: str
    title: str
    team: Team = HOME


@dataclass
class Channel:
    """A conversation. ``kind`` is ``channel``, ``private`` or ``im``; ``members`` contains user ids."""

    id: str
    name: str
    kind: str = "channel"
    topic: str = ""
    archived: bool = False
    members: set[str] = field(default_factory=set)
    team: Team = HOME

    @property
    def has_bot(self) -> bool:
        """Whether the bot is a member of the channel."""
        return BOT_USER_ID in self.members

    def is_open_to(self, team: Team) -> bool:
        """Whether a bot of that workspace can know the channel. One channel is shared."""
        return self.team is team or self.kind == "im" or self.id == SHARED


PEOPLE = (
    Person("U0AVACHEN01", "ava", "Ava Chen", "Portfolio manager"),
    Person("U0BENOKAF02", "ben", "Ben Okafor", "Trader"),
    Person("U0ZOENUNE03", "zoe", "Zoë Núñez", "Risk"),
    Person("U0DEVPATE04", "dev", "Dev Patel", "Operations"),
    Person("U0MIALARS06", "mia", "Mia Larsen", "Compliance"),
    Person("U0KIMPARK05", "kim", "Kim Park", "A stranger here", NEIGHBOR),
)
TEAMS = {person.id: person.team for person in PEOPLE}
EVERYBODY = {person.id for person in PEOPLE if person.team is HOME}


def channels() -> dict[str, Channel]:
    """Return the initial channels by id."""
    with_bot = EVERYBODY | {BOT_USER_ID}
    rooms = [
        Channel("C0TRADING01", "trading", topic="Trades and confirmations", members=set(with_bot)),
        Channel("C0GENERAL01", "general", topic="Everything else", members=set(with_bot)),
        Channel("C0RANDOMP01", "random-private", topic="The bot is not a member", members=set(EVERYBODY)),
        Channel(
            "C0BOARDRM01", "board-room", "private", "Private: the bot cannot see it", members=set(EVERYBODY)
        ),
        Channel("C0OLDDESK01", "old-desk", topic="Archived", archived=True, members=set(with_bot)),
    ]
    everywhere = {person.id for person in PEOPLE} | {BOT_USER_ID}
    rooms.append(Channel(SHARED, "partners", topic="Shared with Partner Fund", members=everywhere))
    neighbor_members = {person.id for person in PEOPLE if person.team is NEIGHBOR}
    rooms.append(
        Channel(
            "C0PARTDESK1",
            "partner-desk",
            topic="Trades of Partner Fund",
            members=neighbor_members,
            team=NEIGHBOR,
        )
    )
    return {room.id: room for room in rooms + [create_direct_message(person.id) for person in PEOPLE]}


def find_team(user: str) -> Team:
    """Return the workspace of a user. The app and Slack itself belong to the first one."""
    return TEAMS.get(user, HOME)


def create_direct_message(user: str) -> Channel:
    """Return the direct message of that person and the bot."""
    return Channel(f"D{user[1:]}", user, "im", members={user, BOT_USER_ID})
