"""chat.*: posting, whispering, editing."""

from typing import Any

from simulator import workspace
from simulator.errors import SlackError
from simulator.webapi import arguments as args
from simulator.webapi.arguments import Arguments
from simulator.world import World


def post_message(world: World, given: Arguments) -> dict[str, Any]:
    """``chat.postMessage``: to a channel that the bot is in, or to a person."""
    channel = world.channel_for_bot(args.text(given, "channel"))
    text, blocks = args.content(given)
    thread = given.get("thread_ts") or None
    if thread and world.messages.find(channel.id, thread) is None:
        raise SlackError("thread_not_found")
    message = world.messages.post(channel.id, workspace.BOT_USER_ID, text, blocks, thread_ts=thread)
    return {"channel": channel.id, "ts": message.ts, "message": message.payload()}


def post_ephemeral(world: World, given: Arguments) -> dict[str, Any]:
    """``chat.postEphemeral``: to one person who is in the channel."""
    channel = world.channel_for_bot(args.text(given, "channel"))
    user = args.text(given, "user")
    text, blocks = args.content(given)
    if user not in channel.members or user not in world.people:
        raise SlackError("user_not_in_channel")
    message = world.messages.post(channel.id, workspace.BOT_USER_ID, text, blocks, only_for=user)
    return {"message_ts": message.ts}


def update(world: World, given: Arguments) -> dict[str, Any]:
    """``chat.update``: new content for a message of the bot's own."""
    channel = world.channel_for_bot(args.text(given, "channel"))
    message = world.messages.find(channel.id, args.text(given, "ts"))
    text, blocks = args.content(given)
    if message is None or message.only_for:
        raise SlackError("message_not_found")
    if not message.from_bot:
        raise SlackError("cant_update_message")
    world.messages.edit(message, text, blocks)
    return {"channel": channel.id, "ts": message.ts, "text": text, "message": message.payload()}
