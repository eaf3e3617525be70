// A text field with suggestions: input[data-suggest="<url>"], list in the element named by data-list (ARIA 1.2 combobox).
// The url answers ?q=... with [{value, label}]; the label is shown, the value goes into the field.

export function suggestions() {
  for (const field of document.querySelectorAll("input[data-suggest]")) attach(field);
  document.addEventListener("htmx:after:process", (event) => {
    for (const field of event.target.querySelectorAll?.("input[data-suggest]:not([role])") ?? []) attach(field);
  });
}

function attach(field) {
  const list = document.getElementById(field.dataset.list);
  const said = field.closest(".field")?.querySelector("[data-none]");
  if (!list) return;
  let timer, request, items = [], at = -1, chosen = field.value;
  const state = (name, value) => field.setAttribute(`aria-${name}`, value);
  field.setAttribute("role", "combobox");
  state("autocomplete", "list");
  state("expanded", "false");
  state("controls", list.id);

  function close() {
    list.hidden = true;
    at = -1;
    state("expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function mark(n) {
    at = items.length ? (n + items.length) % items.length : -1;
    [...list.children].forEach((row, index) => row.setAttribute("aria-selected", String(index === at)));
    if (at < 0) return;
    state("activedescendant", list.children[at].id);
    list.children[at].scrollIntoView({ block: "nearest" });
  }

  function choose(n) {
    field.value = chosen = items[n].value;
    close();
    field.dispatchEvent(new CustomEvent("daybreak:chosen", { bubbles: true, detail: items[n] }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  async function ask() {
    const words = field.value.trim();
    request?.abort();
    if (words.length < 2 || field.value === chosen) return close();
    request = new AbortController();
    try {
      const url = new URL(field.dataset.suggest, location.href);
      url.searchParams.set("q", words);
      const response = await fetch(url, { signal: request.signal, headers: { Accept: "application/json" } });
      items = response.ok ? await response.json() : [];
    } catch {
      return; // newer letters, or no signal: the field still takes what is typed
    }
    list.replaceChildren(
      ...items.map((item, n) => {
        const row = document.createElement("li");
        row.id = `${list.id}-${n}`;
        row.setAttribute("role", "option");
        row.setAttribute("aria-selected", "false");
        row.textContent = item.label;
        return row;
      }),
    );
    if (said) said.textContent = items.length ? `${items.length} ${said.dataset.some}` : said.dataset.none;
    if (!items.length || document.activeElement !== field) return close();
    list.hidden = false;
    state("expanded", "true");
  }

  field.addEventListener("input", () => {
    chosen = null;
    clearTimeout(timer);
    timer = setTimeout(ask, 150);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) return void ask();
      mark(at < 0 && event.key === "ArrowUp" ? items.length - 1 : at + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && !list.hidden && at >= 0) {
      event.preventDefault();
      choose(at);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    }
  });
  field.addEventListener("blur", () => setTimeout(close, 100));
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const row = event.target.closest("li");
    if (row) choose([...list.children].indexOf(row));
  });
}
