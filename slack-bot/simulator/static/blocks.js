// Drawing Block Kit. A surface says what acting means; see `surface` in forms.js and messages.js.

import { button, confirmed, overflow } from "./buttons.js";
import { chart } from "./charts.js";
import { el, freshId } from "./dom.js";
import * as inputs from "./inputs.js";
import { mrkdwn, plain, words } from "./mrkdwn.js";
import { richText } from "./richtext.js";
import * as selects from "./selects.js";
import { dataTable } from "./tables.js";

const ELEMENTS = {
  button,
  overflow,
  plain_text_input: inputs.plainTextInput,
  number_input: inputs.numberInput,
  email_text_input: inputs.emailInput,
  url_text_input: inputs.urlInput,
  datepicker: inputs.datepicker,
  timepicker: inputs.timepicker,
  datetimepicker: inputs.datetimepicker,
  checkboxes: inputs.checkboxes,
  radio_buttons: inputs.radioButtons,
  static_select: selects.staticSelect,
  external_select: selects.externalSelect,
  users_select: selects.usersSelect,
  channels_select: selects.channelsSelect,
  conversations_select: selects.conversationsSelect,
  multi_static_select: selects.multiStaticSelect,
  multi_external_select: selects.multiExternalSelect,
  multi_users_select: selects.multiUsersSelect,
  multi_channels_select: selects.multiChannelsSelect,
  multi_conversations_select: selects.multiConversationsSelect,
};
const BLOCKS = { section, header, divider, context, actions, input, image, rich_text: richText, markdown, data_table: dataTable, data_visualization: chart };
const OUR_IMAGES = /^(https?:\/\/(127\.0\.0\.1|localhost)(:\d+)?\/|data:image\/)/i;

export const drawBlocks = (blocks, surface) => blocks.map((block) => drawBlock(block, surface));

export function drawBlock(block, surface) {
  const draw = BLOCKS[block.type];
  const node = draw ? draw(block, surface) : undrawn(block.type);
  node.dataset.blockId = block.block_id;
  node.classList.add("block", `block-${block.type}`);
  return node;
}

const undrawn = (type) => el("div", { class: "undrawn", "data-testid": "not-drawn" }, `not drawn here: ${type}`);

function section(block, surface) {
  const text = el("div", { class: "section-text" }, block.text && el("div", {}, words(block.text)),
    block.fields && el("div", { class: "fields" }, block.fields.map((field) => el("div", {}, words(field)))));
  if (!block.accessory) return el("div", {}, text);
  const labelId = freshId("text");
  text.id = labelId;
  const side = block.accessory.type === "image" ? picture(block.accessory, "accessory")
    : element(block, block.accessory, surface, { labelledBy: labelId }).node;
  return el("div", { class: "with-accessory" }, text, el("div", { class: "accessory" }, side));
}

function header(block) {
  return el("h3", {}, plain(block.text.text));
}

function divider() {
  return el("hr");
}

function context(block) {
  return el("div", {}, block.elements.map((part) =>
    part.type === "image" ? picture(part, "tiny") : el("span", {}, words(part))));
}

function actions(block, surface) {
  return el("div", { role: "group" }, block.elements.map((part) =>
    element(block, part, surface, { label: part.placeholder?.text || part.type.replaceAll("_", " ") }).node));
}

function image(block) {
  return el("figure", {}, block.title && el("figcaption", {}, words(block.title)), picture(block, "wide"));
}

function picture(part, size) {
  // Only pictures of this machine are loaded: a message must not call out from here.
  if (part.slack_file?.id) return el("img", { src: `/files/${encodeURIComponent(part.slack_file.id)}`, alt: part.alt_text, class: size });
  if (OUR_IMAGES.test(part.image_url || "")) return el("img", { src: part.image_url, alt: part.alt_text, class: size });
  return el("span", { class: `no-image ${size}`, role: "img", "aria-label": part.alt_text }, part.alt_text);
}

function markdown(block) {
  const lines = block.text
    .replace(/^#{1,6}\s+(.*)$/gm, "*$1*")
    .replace(/\*\*(.+?)\*\*/g, "*$1*")
    .replace(/~~(.+?)~~/g, "~$1~")
    .replace(/\[([^\]\n]+)\]\((https?:[^)\s]+)\)/g, "<$2|$1>");
  return el("div", {}, mrkdwn(lines));
}

function input(block, surface) {
  const ids = { field: freshId("field"), label: freshId("label"), hint: freshId("hint"), error: freshId("error") };
  const error = surface.errors?.[block.block_id];
  const describedBy = [error && ids.error, block.hint && ids.hint].filter(Boolean).join(" ");
  const drawn = element(block, block.element, surface, {
    id: ids.field, labelledBy: ids.label, describedBy, invalid: Boolean(error), required: !block.optional,
  });
  const caption = [plain(block.label.text), block.optional ? el("span", { class: "optional" }, " (optional)") : null];
  const isGroup = drawn.group || !drawn.focusable;
  const label = isGroup ? el("div", { id: ids.label, class: "label" }, caption)
    : el("label", { id: ids.label, class: "label", for: ids.field }, caption);
  return el("div", { class: error ? "invalid" : "" }, label, drawn.node,
    error && el("p", { id: ids.error, class: "error", "data-testid": "field-error" }, error),
    block.hint && el("p", { id: ids.hint, class: "hint" }, plain(block.hint.text)));
}

// Draws one element, keeps what was typed before a redraw, and registers it with the surface.
function element(block, part, surface, about) {
  const draw = ELEMENTS[part.type];
  if (!draw) return { node: undrawn(part.type), group: true };
  const dispatches = block.type !== "input" || block.dispatch_action;
  const act = async (value) => (await confirmed(part.confirm)) && surface.act(block, part, value);
  const drawn = draw(part, {
    id: about.id || freshId("field"),
    attributes: attributes(about),
    state: surface.values?.[block.block_id]?.[part.action_id],
    act,
    change: dispatches ? act : null,
    ask: (query) => surface.ask(block, part, query),
  });
  drawn.node.dataset.actionId = part.action_id;
  surface.register?.(block, part, drawn);
  return drawn;
}

function attributes(about) {
  return {
    "aria-labelledby": about.labelledBy,
    "aria-label": about.labelledBy ? null : about.label,
    "aria-describedby": about.describedBy || null,
    "aria-invalid": about.invalid ? "true" : null,
    "aria-required": about.required ? "true" : null,
  };
}
