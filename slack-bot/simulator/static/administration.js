// What an administrator of the workspaces does: people, user groups, and installations of the app.

import { tell } from "./api.js";
import { el } from "./dom.js";
import { refresh } from "./store.js";

export function administration(state, status) {
  const change = async (path, body) => {
    try {
      await tell(path, body);
      status("Done.");
    } catch (error) {
      status(error.message);
    }
    refresh();
  };
  return [
    el("h3", {}, "Administration"),
    el("div", { class: "group", "data-testid": "admin-people" }, state.people.map((person) => personRow(person, change))),
    ...state.groups.map((group) => groupRows(group, state.people, change)),
    el("div", { class: "group", "data-testid": "admin-workspaces" }, state.workspaces.map((team, index) => teamRow(team, index, state, change))),
  ];
}

function personRow(person, change) {
  const verb = person.deleted ? "Activate" : "Deactivate";
  const act = () => change("person", { user: person.id, active: person.deleted });
  return el("div", { class: "row" }, el("span", {}, person.deleted ? `${person.real_name} (deactivated)` : person.real_name),
    el("button", { type: "button", class: "button", "aria-label": `${verb} ${person.real_name}`, onclick: act }, verb));
}

function groupRows(group, people, change) {
  const rows = people.filter((person) => !person.deleted).map((person) => {
    const box = el("input", {
      type: "checkbox", id: `${group.id}-${person.id}`,
      onchange: (event) => change("group", { group: group.id, user: person.id, member: event.target.checked }),
    });
    box.checked = group.members.includes(person.id);
    return el("div", { class: "row" }, el("label", { for: box.id }, `${person.real_name} in @${group.handle}`), box);
  });
  return el("details", { class: "group", "data-id": group.id }, el("summary", {}, `@${group.handle}`, el("small", {}, group.id)), rows);
}

function teamRow(team, index, state, change) {
  const install = el("a", { class: "button", href: state.install_url, target: "_blank", rel: "noopener" }, "Install…");
  const uninstall = el("button", {
    type: "button", class: "button", "aria-label": `Uninstall from ${team.name}`, onclick: () => change("uninstall", { team: team.id }),
  }, "Uninstall");
  const choice = team.installed ? index > 0 && uninstall : install;
  return el("div", { class: "row" }, el("span", {}, `${team.name} · ${team.installed ? "installed" : "not installed"}`), choice);
}
