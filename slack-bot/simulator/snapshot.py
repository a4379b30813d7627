"""The state as others see it: one person's screen, or everything."""

from typing import Any

from simulator import workspace
from simulator.messages import Message
from simulator.workspace import Channel, Person
from simulator.world import World

SHOWN_MESSAGES = 200
Json = dict[str, Any]


def everything(world: World) -> Json:
    """Return all channels, messages, private ones included, and open views."""
    rooms = world.channels.values()
    views = world.views
    return _about(world) | {
        "channels": [
            _channel(room) | {"messages": [message.as_json() for message in world.messages.all(room.id)]}
            for room in rooms
        ],
        "views": {user: [view.as_json() for view in views.stack(user)] for user in world.people},
        "homes": {user: view.as_json() for user, view in views.homes.items()},
        "faults": world.faults.as_json(),
    }


def screen(world: World, person: Person, channel: Channel) -> Json:
    """Return what that person sees with that channel open."""
    rooms = [room for room in world.channels.values() if person.id in room.members]
    shown = world.messages.visible(channel.id, person.id)[-SHOWN_MESSAGES:]
    home = world.views.homes.get(person.id)
    return _about(world) | {
        "me": _person(person),
        "channel": _channel(channel),
        "channels": [_channel(room) | {"latest": _latest(world, room, person)} for room in rooms],
        "messages": [message.as_json() for message in shown],
        "views": [view.as_json() for view in world.views.stack(person.id)],
        "home": home.as_json() if home else None,
        "faults": world.faults.as_json(),
    }


def _about(world: World) -> Json:
    return {
        "boot": world.boot,
        "version": world.version,
        "team": {"id": workspace.TEAM_ID, "name": workspace.TEAM_NAME},
        "bot": {"id": workspace.BOT_USER_ID, "name": world.manifest.bot_name},
        "system": {"id": workspace.SYSTEM_USER_ID, "name": "Workspace"},
        "people": [_person(person) for person in world.people.values()],
        "commands": [vars(command) for command in world.manifest.commands],
    }


def _person(person: Person) -> Json:
    team = {"id": person.team.id, "name": person.team.name}
    about = {"id": person.id, "name": person.name, "real_name": person.real_name, "title": person.title}
    return about | {"team": team}


def _channel(channel: Channel) -> Json:
    return {
        "id": channel.id,
        "name": channel.name,
        "kind": channel.kind,
        "topic": channel.topic,
        "archived": channel.archived,
        "has_bot": channel.has_bot,
        "members": sorted(channel.members),
    }


def _latest(world: World, room: Channel, person: Person) -> str:
    visible: list[Message] = world.messages.visible(room.id, person.id)
    return visible[-1].ts if visible else ""
