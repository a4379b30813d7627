// What this page shows, kept fresh: a stream says that something changed, then the state is fetched.

import { ask } from "./api.js";

const RECONNECT_MILLISECONDS = 800;
const listeners = new Set();
const asked = new URLSearchParams(location.search);

export const store = {
  user: asked.get("as") || sessionStorage.getItem("user") || "ava",
  channel: asked.get("channel") || sessionStorage.getItem("channel") || "trading",
  thread: null, // the timestamp of the message that is replied to
  state: null,
  connected: true,
  read: {},
};

let underway = false;
let again = false;

export const onChange = (listener) => listeners.add(listener);

export async function refresh() {
  if (underway) {
    again = true;
    return;
  }
  underway = true;
  try {
    do {
      again = false;
      await fetchState();
    } while (again);
  } finally {
    underway = false;
  }
  listeners.forEach((listener) => listener(store));
}

async function fetchState() {
  try {
    const { user, channel } = store;
    const state = await ask("state", { user, channel });
    if (user === store.user && channel === store.channel) store.state = state;
    else again = true;
  } catch (error) {
    if (!(error instanceof TypeError)) reset();
  }
}

function reset() {
  // Somebody or some channel that is not known here: start from what always is.
  if (store.user === "ava" && store.channel === "trading") return;
  Object.assign(store, { user: "ava", channel: "trading" });
  again = true;
}

export function actAs(user) {
  store.user = user;
  store.thread = null;
  sessionStorage.setItem("user", user);
  store.read = {};
  const room = store.state.channel;
  if (room.kind === "im") store.channel = "dm";
  else if (!room.members.includes(user)) store.channel = roomOf(user);
  return refresh();
}

function roomOf(user) {
  const room = store.state.channels.find((channel) => channel.kind !== "im" && channel.members.includes(user));
  return room ? room.id : "dm";
}

export function replyTo(ts) {
  store.thread = ts;
  listeners.forEach((listener) => listener(store));
}

export function openChannel(channel) {
  store.channel = channel;
  store.thread = null;
  sessionStorage.setItem("channel", channel);
  return refresh();
}

function setConnected(connected) {
  if (store.connected === connected) return;
  store.connected = connected;
  listeners.forEach((listener) => listener(store));
}

export function listen() {
  const stream = new EventSource("/control/stream");
  stream.onmessage = () => {
    setConnected(true);
    refresh();
  };
  stream.onerror = () => {
    setConnected(false);
    stream.close();
    setTimeout(listen, RECONNECT_MILLISECONDS);
  };
}
