// Return the texts in an element that a person cannot read: outside of its frame, or with a contrast below 4.5,
// the least of WCAG 2.2 (1.4.3). Tables scroll, and lists of options open above their form.
(root) => {
  const frame = root.getBoundingClientRect();
  const pixel = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const canvas = pixel.getContext("2d", { willReadFrequently: true });
  const paint = (colors) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const ground = (node) => {
    const colors = [];
    for (let at = node; at; at = at.parentElement) colors.unshift(getComputedStyle(at).backgroundColor);
    return colors;
  };
  const light = ([...rgb]) => rgb.slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ratio = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const faults = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, parent = text.parentElement;
    if (!text.data.trim() || !parent.checkVisibility()) continue;
    if (parent.closest(".visually-hidden, option, svg")) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const scrolls = parent.closest(".table-scroll, .options");
    for (const box of range.getClientRects()) {
      const out = box.right > frame.right + 1 || box.left < frame.left - 1;
      if (box.width && out && !scrolls) { faults.push(`outside: ${text.data.slice(0, 60)}`); break; }
    }
    const behind = ground(parent);
    const contrast = ratio(light(paint(behind)), light(paint([...behind, getComputedStyle(parent).color])));
    if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(2)}: ${text.data.slice(0, 60)}`);
  }
  for (const node of root.querySelectorAll('[data-testid="not-drawn"]')) faults.push(node.textContent);
  return [...new Set(faults)];
}
