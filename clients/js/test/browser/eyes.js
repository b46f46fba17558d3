/**
 * What those who see badly or not at all would find fault with. Each of these runs in the page.
 */

/**
 * The texts that stand out less from what is behind them than the ratio of WCAG asks for.
 *
 * @param {number} atLeast
 */
export function lowContrast(atLeast) {
  const channels = (colour) => {
    const [r, g, b, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return { rgb: colour.startsWith("color(srgb") ? [r * 255, g * 255, b * 255] : [r, g, b], alpha };
  };
  const over = (upper, lower) => {
    const mixed = upper.rgb.map((value, index) => value * upper.alpha + lower.rgb[index] * (1 - upper.alpha));
    return { rgb: mixed, alpha: 1 };
  };
  const behind = (element) => {
    if (!element) return { rgb: [255, 255, 255], alpha: 1 };
    const own = channels(getComputedStyle(element).backgroundColor);
    return own.alpha === 1 ? own : over(own, behind(element.parentElement));
  };
  const luminance = ({ rgb }) => {
    const [r, g, b] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const hasOwnText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    if (!hasOwnText(element) || !element.checkVisibility() || element.matches("option, .hidden")) continue;
    const background = behind(element);
    const { color, opacity } = getComputedStyle(element);
    const text = channels(color);
    const found = ratio(over({ ...text, alpha: text.alpha * Number(opacity) }, background), background);
    if (found < atLeast) faint.push(`${element.className || element.tagName} "${element.textContent.trim()}": ${found.toFixed(2)}`);
  }
  return faint;
}

/** The controls that a screen reader could only call "button" or "text field". */
export function unnamedControls() {
  const controls = [...document.querySelectorAll("button, input, select, summary, [role=tab], [tabindex='0']")];
  const name = (element) =>
    element.getAttribute("aria-label") ?? [...(element.labels ?? [])].map((label) => label.textContent).join("") + element.textContent;
  return controls.filter((element) => name(element).trim() === "").map((element) => element.outerHTML.slice(0, 120));
}
