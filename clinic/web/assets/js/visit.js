// A staff session ends when nobody is there. What was typed is brought to safety first, and is back after signing in.
const body = document.body;
const idle = Number(body.dataset.idle); // seconds
const WARNS = 120;
const TELLS = 240; // seconds between two words to the server that someone is typing

const token = () => document.querySelector("input[name=csrf_token]")?.value ?? "";
const here = () => location.pathname + location.search;
const forms = () => [...document.querySelectorAll("main form[method=post]")].filter((form) => form.querySelector("input:not([type=hidden]), select, textarea"));
const kept = (field) => field.name && !/csrf_token|password|code/.test(field.name) && !["file", "password", "submit", "button", "hidden"].includes(field.type);

function changed(form) {
  return [...form.elements].some((field) => {
    if (!kept(field)) return false;
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return [...field.options].some((option) => option.selected !== option.defaultSelected);
    return field.value !== field.defaultValue;
  });
}

let lastField = null; // the warning takes the focus; this is where the person was
addEventListener("focusin", (event) => {
  if (event.target.form && kept(event.target)) lastField = event.target;
});

const post = (url, data) =>
  fetch(url, { method: "POST", headers: { "Content-Type": "application/json", "X-CSRFToken": token() }, body: JSON.stringify(data), redirect: "error" });

async function hold() {
  const form = forms().find(changed);
  if (!form) return;
  const fields = [...form.elements].filter(kept).flatMap((field) => {
    if (field.type === "checkbox" || field.type === "radio") return field.checked ? [[field.name, field.value]] : [];
    if (field.tagName === "SELECT") return [...field.selectedOptions].map((option) => [field.name, option.value]);
    return [[field.name, field.value]];
  });
  const focus = form.contains(lastField) ? lastField.name : (fields.at(-1)?.[0] ?? "");
  return post(body.dataset.hold, { path: here(), action: new URL(form.action).pathname, fields, focus });
}

/** Say it until the server took it, three times at most: what is refused or lost once ends neither the page nor the session. */
async function insist(say) {
  for (let left = 3; left; left--) {
    try {
      const answer = await say();
      if (!answer || answer.ok) return;
    } catch {
      // no answer: once more
    }
  }
}

/** Put back what was typed before the session ended, and stand in the same field. */
async function restore() {
  const answer = await fetch(`${body.dataset.hold}?${new URLSearchParams({ path: here() })}`, { headers: { Accept: "application/json" }, redirect: "error" });
  if (answer.status !== 200) return;
  const { action, fields, focus } = await answer.json();
  const form = forms().find((each) => new URL(each.action).pathname === action) ?? forms()[0];
  if (!form) return;
  const values = Map.groupBy?.(fields, ([name]) => name) ?? fields.reduce((all, pair) => all.set(pair[0], [...(all.get(pair[0]) ?? []), pair]), new Map());
  for (const field of form.elements) {
    if (!kept(field)) continue;
    const wanted = (values.get(field.name) ?? []).map(([, value]) => value);
    if (field.type === "checkbox" || field.type === "radio") field.checked = wanted.includes(field.value);
    else if (field.tagName === "SELECT") for (const option of field.options) option.selected = wanted.includes(option.value);
    else if (wanted.length) field.value = wanted[[...form.elements].filter((other) => other.name === field.name).indexOf(field)] ?? wanted[0];
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }
  for (let part = form.closest("details"); part; part = part.parentElement?.closest("details")) part.open = true;
  const note = document.createElement("p");
  note.className = "note";
  note.setAttribute("role", "status");
  note.textContent = body.dataset.restored;
  form.prepend(note);
  const field = form.elements[focus];
  (field?.length && !field.tagName ? field[0] : field)?.focus();
  await post(`${body.dataset.hold}/drop`, { path: here() });
}

function watch() {
  const dialog = document.getElementById("still-there");
  if (!dialog || !idle) return;
  let last = Date.now();
  let told = last;
  const tell = async () => {
    told = Date.now();
    try {
      const answer = await post(body.dataset.still, {});
      if (answer.ok) last = Date.now();
    } catch {
      // no answer: the clock of the server goes on, and so does ours
    }
  };
  const active = () => {
    if (dialog.open) return;
    last = Date.now();
    if (last - told > TELLS * 1000) tell();
  };
  for (const kind of ["keydown", "pointerdown", "input"]) addEventListener(kind, active, { passive: true, capture: true });
  dialog.querySelector("[data-still-here]").addEventListener("click", () => {
    dialog.close();
    tell();
  });
  let isOver = false;
  setInterval(async () => {
    const left = idle - (Date.now() - last) / 1000;
    if (left < WARNS && left > 0 && !dialog.open) dialog.showModal();
    if (left < 10 && !isOver) {
      isOver = true;
      await insist(hold);
      await insist(() => post(body.dataset.over, {}));
      location.assign(`${body.dataset.signIn}?next=${encodeURIComponent(here())}`);
    }
  }, 1000);
}

export function visit() {
  if (!body.dataset.hold) return;
  watch();
  if (body.dataset.held !== undefined) restore().catch(() => {});
}
