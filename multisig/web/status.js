"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const filter = byId("filter"), who = byId("who"), shown = byId("shown"), none = byId("none");
  const states = Array.from(document.querySelectorAll("input[name=state]"));
  const rows = Array.from(byId("rows").rows).map((row) => ({
    row,
    name: row.querySelector("summary").textContent.toLowerCase(),
    state: row.dataset.s,
    awaited: (row.dataset.w || "").split(" "),
  }));

  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const state = (states.find((input) => input.checked) || { value: "" }).value;
    let count = 0;
    for (const item of rows) {
      const visible = (!state || item.state.split(" ").includes(state)) &&
        (!who.value || item.awaited.includes(who.value)) && words.every((word) => item.name.includes(word));
      if (item.row.hidden === visible) item.row.hidden = !visible;
      if (visible) count += 1;
    }
    none.hidden = count > 0;
    shown.textContent = `${count} of ${rows.length}`;
    const kept = new URLSearchParams();
    if (filter.value) kept.set("q", filter.value);
    if (state) kept.set("s", state);
    if (who.value) kept.set("w", who.value);
    history.replaceState(null, "", String(kept) ? `#?${kept}` : location.pathname + location.search);
  };

  const recall = () => {
    if (!location.hash.startsWith("#?")) return;
    const kept = new URLSearchParams(location.hash.slice(2));
    filter.value = kept.get("q") || "";
    who.value = kept.get("w") || "";
    if (who.selectedIndex < 0) who.value = "";
    for (const input of states) if (input.value === (kept.get("s") || "")) input.checked = true;
  };

  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; apply(); });
  };
  filter.form.addEventListener("submit", (event) => event.preventDefault());
  filter.form.addEventListener("input", soon);
  filter.form.addEventListener("change", soon);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && document.activeElement !== filter) {
      event.preventDefault();
      filter.focus();
      filter.select();
    } else if (event.key === "Escape" && document.activeElement === filter && filter.value) {
      filter.value = "";
      soon();
    }
  });

  const made = Date.parse(document.querySelector("time").dateTime);
  const age = () => {
    const minutes = Math.floor((Date.now() - made) / 60000);
    const format = new Intl.RelativeTimeFormat("en", { numeric: "always" });
    const text = minutes < 1 ? "" : minutes < 120 ? format.format(-minutes, "minute")
      : minutes < 2880 ? format.format(-Math.floor(minutes / 60), "hour") : format.format(-Math.floor(minutes / 1440), "day");
    byId("age").textContent = text && ` (${text})`;
  };

  // Whoever makes the page anew every few minutes has it looked at anew; but nothing is taken from under a reader.
  const idle = () => !document.hidden && document.activeElement === document.body && !document.querySelector("details[open]");
  setInterval(age, 30000);
  setInterval(() => { if (idle()) location.reload(); }, 300000);
  recall();
  if (location.hash.startsWith("#?")) apply();
  age();
})();
