// What every page with script shares: double sends, focus after a refused send, one-tap fixes, added rows.

/** Say that a button is at work: the word changes, a second press does nothing, the value is still sent. */
function busy(button) {
  const text = [...button.childNodes].filter((node) => node.nodeType === 3 && node.data.trim()).pop();
  button.style.minWidth = `${button.offsetWidth}px`;
  button.setAttribute("aria-busy", "true");
  button.setAttribute("aria-disabled", "true");
  if (text && button.dataset.busy) {
    button.dataset.ready = text.data;
    text.data = button.dataset.busy;
  }
}

function ready(button) {
  const text = [...button.childNodes].filter((node) => node.nodeType === 3 && node.data.trim()).pop();
  button.removeAttribute("aria-busy");
  button.removeAttribute("aria-disabled");
  if (text && button.dataset.ready) text.data = button.dataset.ready;
}

export function guardSends() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.dataset.sending) {
      event.preventDefault();
      return;
    }
    form.dataset.sending = "1";
    const button = event.submitter;
    if (button) queueMicrotask(() => busy(button)); // after the browser has read the button's value
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[aria-disabled=true]");
    if (button) event.preventDefault();
  });
  const restore = () => {
    for (const form of document.querySelectorAll("form[data-sending]")) delete form.dataset.sending;
    for (const button of document.querySelectorAll(".btn[aria-busy=true][data-ready]")) ready(button);
  };
  document.addEventListener("daybreak:ready", restore);
  addEventListener("pageshow", (event) => event.persisted && restore());
  document.addEventListener("htmx:finally:request", restore);
}

/** After a refused send the summary takes the focus. */
export function focusErrors() {
  document.querySelector("[data-focus]")?.focus();
}

/** "Use 2026": puts a value into a field. */
export function oneTapFixes() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-fix]");
    const field = button && document.getElementById(button.dataset.fix);
    if (!field) return;
    if (field.tagName === "SELECT" && ![...field.options].some((option) => option.value === button.dataset.value)) {
      field.add(new Option(button.dataset.value, button.dataset.value));
    }
    field.value = button.dataset.value;
    field.dispatchEvent(new Event("change", { bubbles: true }));
    field.focus();
  });
}

/** Add a row to a repeated group. Answers the new row, or null where no more are allowed. */
export function addRow(group) {
  const template = group.querySelector("template");
  const count = group.querySelectorAll(":scope > [data-one]").length;
  if (!template || count >= Number(group.dataset.max)) return null;
  const holder = document.createElement("div");
  holder.innerHTML = template.innerHTML.replaceAll("__i__", count);
  const row = holder.firstElementChild;
  template.before(row);
  if (count + 1 >= Number(group.dataset.max)) group.querySelector("[data-add]").hidden = true;
  return row;
}

export function repeatedRows() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-add]");
    if (!button) return;
    event.preventDefault();
    addRow(button.closest("[data-repeat]"))?.querySelector("input, select, textarea")?.focus();
  });
}

/** A button that prints the page; without script the browser's own menu does. */
export function printing() {
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
}
