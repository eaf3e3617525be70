// Staff pages: keys, toasts, dialogs, tabs, what to say when the server does not answer.
import "htmx.org/dist/htmx.esm.js";
import { focusErrors, guardSends, oneTapFixes, printing, repeatedRows } from "./page.js";
import { suggestions } from "./suggest.js";
import { visit } from "./visit.js";

const typing = (element) => element?.closest?.("input:not([type=radio], [type=checkbox]), select, textarea, [contenteditable]");

function keys() {
  let went = -Infinity; // never yet: right after loading a letter is not the second one of "G T"
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll(".menu[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
    if (document.body.dataset.keys === "off" || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const inDialog = document.querySelector("dialog[open]");
    if (inDialog) return;
    const going = performance.now() - went < 1500;
    went = -Infinity;
    if (going) {
      const link = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
      if (link) {
        event.preventDefault();
        link.click();
        return;
      }
    }
    if (key === "/") {
      const find = document.getElementById("find");
      if (find) {
        event.preventDefault();
        find.focus();
        find.select();
      }
    } else if (key === "?") {
      event.preventDefault();
      open(document.getElementById("keys-help"));
    } else if (key === "j" || key === "k") {
      step(key === "j" ? 1 : -1);
    } else if (key === "Enter" && event.target.matches?.("[data-row]")) {
      event.target.querySelector("a[href], button")?.click();
    } else {
      const scope = document.activeElement?.closest?.("[data-row]");
      const pressed = [scope, document].map((root) => root?.querySelector(`[data-key="${CSS.escape(key)}"]:not([aria-disabled=true])`)).find(Boolean);
      if (pressed) {
        event.preventDefault();
        pressed.click();
      } else if (key === "g") {
        went = performance.now();
      }
    }
  });
}

/** J and K: from row to row. */
function step(by) {
  const rows = [...document.querySelectorAll("[data-row]")].filter((row) => row.getClientRects().length);
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement?.closest?.("[data-row]"));
  const row = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by))];
  row.tabIndex = -1;
  row.focus();
  row.scrollIntoView({ block: "nearest" });
}

function open(dialog) {
  if (!dialog || dialog.open) return;
  const from = document.activeElement;
  dialog.addEventListener("close", () => from?.focus?.(), { once: true });
  dialog.showModal();
}

function dialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-open]");
    if (opener) {
      const menu = opener.closest(".menu");
      if (menu) menu.open = false;
      open(document.querySelector(opener.dataset.open));
    }
    if (event.target.closest?.("[data-close]") || event.target.matches?.("dialog")) event.target.closest("dialog")?.close();
    for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
}

/** A toast stays ten seconds, longer under the pointer or the focus, then moves to the list at the page's end. */
function toasts() {
  const tray = document.getElementById("toasts");
  const list = document.getElementById("done-list");
  if (!tray || !list) return;
  const retire = (toast) => {
    if (toast.matches(":hover, :focus-within")) return void setTimeout(retire, 2000, toast);
    const line = document.createElement("li");
    line.append(...toast.childNodes);
    list.querySelector("ul").append(line);
    list.hidden = false;
    toast.remove();
  };
  const seen = (node) => node.nodeType === 1 && node.matches("[data-toast]") && setTimeout(retire, 10000, node);
  [...tray.children].forEach(seen);
  new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach(seen))).observe(tray, { childList: true });
}

/** [data-tabs]: a group of links to sections becomes tabs. Without script all sections are there. */
function tabs(root = document) {
  for (const box of root.querySelectorAll("[data-tabs]:not([data-ready])")) {
    const links = [...box.querySelectorAll(":scope > :first-child > a[href^='#']")];
    const parts = links.map((link) => document.getElementById(link.hash.slice(1)));
    if (!links.length || parts.some((part) => !part)) continue;
    box.dataset.ready = "1";
    links[0].parentElement.setAttribute("role", "tablist");
    const pick = (n, focus) => {
      links.forEach((link, index) => {
        link.setAttribute("aria-selected", String(index === n));
        link.tabIndex = index === n ? 0 : -1;
        parts[index].hidden = index !== n;
      });
      if (focus) links[n].focus();
    };
    links.forEach((link, n) => {
      link.setAttribute("role", "tab");
      link.id ||= `${parts[n].id}-tab`;
      link.setAttribute("aria-controls", parts[n].id);
      parts[n].setAttribute("role", "tabpanel");
      parts[n].setAttribute("aria-labelledby", link.id);
      link.addEventListener("click", (event) => {
        event.preventDefault();
        pick(n);
      });
      link.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (by) pick((n + by + links.length) % links.length, true);
      });
    });
    pick(Math.max(0, links.findIndex((link) => link.hash === location.hash)));
  }
}

/** A request that failed leaves the page as it is and says so. */
function problems() {
  const box = document.getElementById("problem");
  if (!box) return;
  const say = (kind) => {
    const note = document.createElement("p");
    note.className = "note problem";
    note.dataset.is = "stop";
    note.textContent = box.dataset[kind];
    box.replaceChildren(note);
  };
  document.addEventListener("htmx:response:error", (event) => {
    const status = event.detail.ctx.response.status;
    if (status !== 409 && status !== 422) say(status === 401 || status === 400 ? "expired" : status === 403 ? "refused" : status === 429 ? "busy" : "server");
  });
  document.addEventListener("htmx:error", (event) => event.detail?.ctx && say("network"));
  document.addEventListener("htmx:after:swap", () => box.replaceChildren());
}

/** The banner of open safety alerts: fresh every 20 seconds; each alert is said aloud once in this browser tab. */
function alerts() {
  const box = document.getElementById("alerts");
  const said = document.getElementById("alerts-said");
  if (!box || !said) return;
  const key = "alerts-said";
  const say = () => {
    const known = new Set(JSON.parse(sessionStorage.getItem(key) ?? "[]"));
    const fresh = [...box.querySelectorAll("[data-alert]")].filter((row) => !known.has(row.dataset.alert));
    if (!fresh.length) return;
    said.textContent = fresh.map((row) => row.dataset.say).join(". ");
    sessionStorage.setItem(key, JSON.stringify([...known, ...fresh.map((row) => row.dataset.alert)].slice(-200)));
  };
  const look = async () => {
    if (document.hidden || box.contains(document.activeElement)) return;
    try {
      const answer = await fetch(box.dataset.alerts, { headers: { Accept: "text/html" }, redirect: "error" });
      if (!answer.ok) return;
      const html = await answer.text();
      if (box.contains(document.activeElement)) return;
      box.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
      say();
    } catch {
      // no answer: what stands there stays, and the next look tries again
    }
  };
  setTimeout(say, 500); // a live region speaks of what changes after it is there
  setInterval(look, 20000);
  document.addEventListener("visibilitychange", look);
}

/** [data-live="url"]: a part of a page that is fetched anew; not while somebody works in it. Its title is said when it changes. */
function live() {
  const box = document.querySelector("[data-live]");
  if (!box) return;
  const said = document.getElementById(`${box.id}-said`);
  const title = () => box.querySelector("[data-title]")?.textContent ?? "";
  const late = () => {
    const mark = box.querySelector("[data-live-mark] .state");
    if (mark) mark.dataset.is = "due";
  };
  let fresh = performance.now();
  const look = async () => {
    if (document.hidden) return;
    if (performance.now() - fresh > 60000) late();
    if (box.contains(document.activeElement)) return;
    try {
      const answer = await fetch(box.dataset.live, { headers: { Accept: "text/html" }, redirect: "error" });
      if (!answer.ok) return;
      const html = await answer.text();
      if (box.contains(document.activeElement)) return;
      const before = title();
      box.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
      fresh = performance.now();
      if (said && title() !== before) said.textContent = title();
    } catch {
      // no answer: what stands there stays, with its time
    }
  };
  setInterval(look, (Number(box.dataset.every) || 15) * 1000);
  document.addEventListener("visibilitychange", look);
}

/** How long the chosen plan is kept: warned at two minutes, one key keeps it longer, another plan is kept in its place. */
function holdClock() {
  const form = document.querySelector("form[data-hold]");
  if (!form) return;
  const mark = form.querySelector("[data-hold-words]");
  const words = mark.querySelector("span");
  const said = form.querySelector("[data-hold-said]");
  let ends = Date.now() + Number(form.dataset.seconds) * 1000;
  let held = form.dataset.held;
  let warned = false;
  let later = 0;
  const tick = () => {
    if (!held) return;
    const left = Math.max(0, Math.round((ends - Date.now()) / 1000));
    words.textContent = left ? `Held for you, ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} left` : "The hold ran out: the times may be taken";
    mark.dataset.is = left > 120 ? "good" : "due";
    if (left <= 120 && !warned) {
      warned = true;
      said.textContent = left ? "Two minutes left. Press H to hold the plan longer." : "The hold ran out. Press H to hold the plan again.";
    }
  };
  const keep = async () => {
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
      const body = await answer.json();
      said.textContent = body.say;
      if (answer.ok) {
        [ends, held, warned] = [Date.now() + body.seconds * 1000, form.elements.plan.value, false];
        form.querySelector("button").firstChild.data = "Hold ten minutes more ";
      } else {
        held = "";
        words.textContent = body.say;
        mark.dataset.is = "due";
      }
    } catch {
      words.textContent = "Not held: the clinic's server did not answer";
      mark.dataset.is = "due";
    }
    document.dispatchEvent(new Event("daybreak:ready"));
    tick();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keep();
  });
  document.addEventListener("change", (event) => {
    if (!event.target.closest?.(".plans") || event.target.value === held) return;
    form.elements.plan.value = event.target.value;
    clearTimeout(later);
    later = setTimeout(keep, 500);
  });
  setInterval(tick, 1000);
}

function pickers() {
  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("form[data-submit-on-change]");
    if (form) form.requestSubmit();
    const table = event.target.closest?.(".plans");
    if (!table) return;
    for (const cell of table.querySelectorAll("[data-plan]")) cell.classList.toggle("sel", cell.dataset.plan === event.target.value);
  });
}

/** A table wider than its sheet can be scrolled by keyboard, under the name of its caption. */
function wideTables() {
  for (const sheet of document.querySelectorAll(".sheet:not([tabindex])")) {
    const table = sheet.querySelector(":scope > table");
    if (!table || sheet.scrollWidth <= sheet.clientWidth) continue;
    sheet.tabIndex = 0;
    sheet.setAttribute("role", "region");
    sheet.setAttribute("aria-label", table.caption?.textContent.trim() || document.title);
  }
}

guardSends();
printing();
focusErrors();
oneTapFixes();
repeatedRows();
suggestions();
keys();
dialogs();
toasts();
tabs();
document.addEventListener("htmx:after:process", (event) => event.target.querySelectorAll && tabs(event.target));
problems();
alerts();
live();
pickers();
holdClock();
wideTables();
visit();
addEventListener("resize", wideTables);
