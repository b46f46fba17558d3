/**
 * Light or dark: as the system says, until somebody presses the switch. It is no module, since those run
 * only after the page was drawn, and a page that turns dark before one's eyes is worse than either.
 */
(() => {
  const KEY = "wshub.theme";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  /** Browsers that keep nothing for this page say so by an exception. */
  const kept = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };

  /** @param {string} theme */
  const keep = (theme) => {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // It holds until the page is left.
    }
  };

  const shown = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
  const other = () => (shown() === "dark" ? "light" : "dark");
  const draw = () => {
    const button = document.querySelector("#theme");
    button?.setAttribute("aria-label", `Use ${other()} colours`);
    button?.setAttribute("title", `Use ${other()} colours`);
  };

  const theme = kept();
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  dark.addEventListener("change", draw);
  document.addEventListener("DOMContentLoaded", () => {
    draw();
    document.querySelector("#theme")?.addEventListener("click", () => {
      root.dataset.theme = other();
      keep(root.dataset.theme);
      draw();
    });
  });
})();
