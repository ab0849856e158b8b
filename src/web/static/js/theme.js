// Runs before the first paint: the reader's theme, zone and clock, known to the server from the next page on.
(() => {
  const read = (name) => document.cookie.split("; ").find((part) => part.startsWith(name + "="))?.slice(name.length + 1);
  const year = "; path=/; max-age=31536000; samesite=lax";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const wish = read("fw_theme") ?? "auto";
    document.documentElement.dataset.theme = wish === "auto" ? (dark.matches ? "dark" : "light") : wish;
    document.documentElement.dataset.themeWish = wish;
    document.dispatchEvent(new CustomEvent("fw:theme"));
  };
  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("fw:set-theme", (event) => {
    document.cookie = `fw_theme=${event.detail}${year}`;
    apply();
  });
  const { timeZone, hourCycle } = new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions();
  document.cookie = `fw_zone=${encodeURIComponent(timeZone)}${year}`;
  document.cookie = `fw_clock=${hourCycle === "h12" || hourCycle === "h11" ? 12 : 24}${year}`;
})();
