// The shortcodes that trading messages use; any other stays as it was typed.

const EMOJI = {
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", no_entry: "⛔", no_entry_sign: "🚫",
  chart_with_upwards_trend: "📈", chart_with_downwards_trend: "📉", bar_chart: "📊", moneybag: "💰", money_with_wings: "💸",
  dollar: "💵", bank: "🏦", receipt: "🧾", briefcase: "💼", hourglass: "⌛", hourglass_flowing_sand: "⏳", clock1: "🕐",
  stopwatch: "⏱️", bell: "🔔", lock: "🔒", unlock: "🔓", key: "🔑", mag: "🔍", memo: "📝", pencil: "📝", clipboard: "📋",
  rocket: "🚀", tada: "🎉", fire: "🔥", eyes: "👀", wave: "👋", bulb: "💡", thinking_face: "🤔", thumbsup: "👍", "+1": "👍",
  thumbsdown: "👎", "-1": "👎", ok_hand: "👌", raised_hands: "🙌", pray: "🙏", robot_face: "🤖", information_source: "ℹ️",
  question: "❓", exclamation: "❗", grey_question: "❔", red_circle: "🔴", large_green_circle: "🟢", large_yellow_circle: "🟡",
  large_blue_circle: "🔵", large_orange_circle: "🟠", white_circle: "⚪", black_circle: "⚫", arrow_up: "⬆️", arrow_down: "⬇️", arrow_right: "➡️",
  arrow_left: "⬅️", arrow_forward: "▶️", double_vertical_bar: "⏸️", black_square_for_stop: "⏹️", arrows_counterclockwise: "🔄", repeat: "🔁", octagonal_sign: "🛑", construction: "🚧", gear: "⚙️", star: "⭐",
  smile: "😄", grinning: "😀", slightly_smiling_face: "🙂", cry: "😢", scales: "⚖️", page_facing_up: "📄", link: "🔗",
  book: "📖", books: "📚", ledger: "📒", wrench: "🔧", zap: "⚡", shield: "🛡️", calendar: "📅", date: "📅", seedling: "🌱",
};

export const emoji = (name) => (Object.hasOwn(EMOJI, name) ? EMOJI[name] : null);
