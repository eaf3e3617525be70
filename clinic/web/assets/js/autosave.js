// Save answers as they are given. A form asks for it with data-autosave="<url>".
//
// Each change is kept on this device first, sealed, then sent (the whole form, with an idempotency key that stays the same for the
// same answers). What the server has not confirmed survives a reload, a closed page and a dead server.
import { addRow } from "./page.js";

const PREFIX = "daybreak:";
const WEEK = 7 * 24 * 3600 * 1000;
const WAITS = [4000, 15000, 60000];
const session = document.body?.dataset.session ?? "";

// on a tablet of the clinic nothing stays behind the tab
const shelf = () => (document.body?.dataset.kiosk === undefined ? localStorage : sessionStorage);

// -- what is kept is sealed: the key comes with the page, for who may fill it in, and no script can take it out again

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const text = (buffer) => btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""));

function takeKeys() {
  const given = document.body?.dataset.drafts?.split(" ") ?? [];
  delete document.body?.dataset.drafts;
  if (!crypto.subtle) return Promise.resolve([]); // a page over plain http elsewhere than on this machine keeps nothing
  return Promise.all(given.map((one) => crypto.subtle.importKey("raw", bytes(one), "AES-GCM", false, ["encrypt", "decrypt"])));
}

const keys = takeKeys().catch(() => []);
const about = (key) => new TextEncoder().encode(key);

async function seal(key, value) {
  const [newest] = await keys;
  if (!newest) return null;
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const content = new TextEncoder().encode(JSON.stringify(value));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: about(key) }, newest, content);
  return { at: value.at, submitted: value.submitted, iv: text(iv), sealed: text(sealed) };
}

async function unseal(key, kept) {
  for (const one of await keys) {
    try {
      const content = await crypto.subtle.decrypt({ name: "AES-GCM", iv: bytes(kept.iv), additionalData: about(key) }, one, bytes(kept.sealed));
      return JSON.parse(new TextDecoder().decode(content));
    } catch {
      // another key, or not ours
    }
  }
  return null;
}

let last = Promise.resolve(); // one after another: an older answer never lands on a newer one

const store = {
  /** Of a draft without its answers: when it was kept, and whether it was sent. */
  look(key) {
    try {
      return JSON.parse(shelf().getItem(key));
    } catch {
      return null;
    }
  },
  async read(key) {
    const kept = store.look(key);
    return kept?.sealed ? unseal(key, kept) : null;
  },
  /** It is on its way, whether the page lives to seal the answers once more or not. */
  mark(key) {
    const kept = store.look(key);
    if (kept) shelf().setItem(key, JSON.stringify({ ...kept, submitted: true }));
  },
  write(key, value) {
    last = last
      .then(() => seal(key, value))
      .then((kept) => kept && shelf().setItem(key, JSON.stringify(kept)))
      .catch(() => {}); // a full or forbidden store: the server still gets the answer
  },
  drop(key) {
    last = last.then(() => shelf().removeItem(key)).catch(() => {}); // nothing was kept
  },
  keys() {
    try {
      return Object.keys(shelf()).filter((key) => key.startsWith(PREFIX));
    } catch {
      return [];
    }
  },
};

/** "Your answer is saved" is on the page only while it is true. */
function claim(isSaved) {
  for (const element of document.querySelectorAll("[data-when-saved]")) element.hidden = !isSaved;
}

const fresh = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;

function show(state, at = "") {
  const mark = document.getElementById("saved");
  if (!mark) return;
  mark.dataset.is = state;
  mark.querySelector("[data-words]").textContent = `${mark.dataset[state]} ${at}`.trim();
  if (state === "expired") mark.dataset.is = "kept";
}

function answers(form) {
  const secret = new Set([...form.elements].filter((e) => ["hidden", "password", "file"].includes(e.type)).map((e) => e.name));
  return [...new FormData(form)].filter(([name]) => !secret.has(name));
}

function fill(form, pairs) {
  for (const group of form.querySelectorAll("[data-repeat]")) {
    const stem = `${group.dataset.repeat}-`;
    const wanted = Math.max(-1, ...pairs.map(([name]) => (name.startsWith(stem) ? parseInt(name.slice(stem.length), 10) : -1)));
    while (group.querySelectorAll(":scope > [data-one]").length <= wanted && addRow(group));
  }
  const values = new Map();
  for (const [name, value] of pairs) values.set(name, [...(values.get(name) ?? []), value]);
  for (const field of form.elements) {
    if (!field.name || ["hidden", "password", "file", "submit", "button"].includes(field.type)) continue;
    const given = values.get(field.name) ?? [];
    if (field.type === "radio" || field.type === "checkbox") field.checked = given.includes(field.value);
    else if (field.type === "select-multiple") for (const option of field.options) option.selected = given.includes(option.value);
    else if (given.length) field.value = given.shift();
  }
}

/** Did this page come as the server's answer to a send (refused, or on to the next one at the same address)? */
function answered() {
  const [visit] = performance.getEntriesByType("navigation");
  return document.getElementById("errors") || (visit?.type === "navigate" && document.referrer.startsWith(location.origin));
}

function watch(form, key) {
  let timer, retry, sending = false, again = false, failures = 0;
  let draft = null;

  const keep = () => {
    draft = { at: Date.now(), id: fresh(), pairs: answers(form), focus: document.activeElement?.id };
    store.write(key, draft);
    claim(false);
  };

  async function send() {
    clearTimeout(timer);
    clearTimeout(retry);
    if (!draft) return;
    if (sending) {
      again = true;
      return;
    }
    sending = true;
    again = false;
    const sent = draft;
    show("busy");
    let status = 0, answer = {};
    try {
      const body = new URLSearchParams(sent.pairs);
      for (const field of form.querySelectorAll("input[type=hidden][name]")) body.append(field.name, field.value);
      const response = await fetch(form.dataset.autosave, {
        method: "POST",
        body,
        headers: { "Idempotency-Key": sent.id, "X-CSRFToken": body.get("csrf_token") ?? "", Accept: "application/json" },
        redirect: "manual",
        keepalive: true,
      });
      status = response.type === "opaqueredirect" ? 401 : response.status; // sent on to the sign-in page
      if (response.ok) answer = await response.json().catch(() => ({}));
    } catch {
      // no signal: status stays 0
    }
    sending = false;
    if (status >= 200 && status < 300) {
      failures = 0;
      const revision = form.querySelector("input[name=revision]");
      if (revision && answer.revision !== undefined) revision.value = answer.revision;
      if (draft?.id === sent.id) {
        draft = null;
        store.drop(key);
        show("good", answer.saved_at ?? new Date().toLocaleTimeString(document.documentElement.lang, { hour: "numeric", minute: "2-digit" }));
        claim(true);
      }
      form.dispatchEvent(new CustomEvent("daybreak:saved", { bubbles: true, detail: answer }));
    } else if (status === 0 || status === 429 || status >= 500) {
      show(crypto.subtle ? "kept" : "failed");
      retry = setTimeout(send, WAITS[Math.min(failures++, WAITS.length - 1)]);
    } else {
      show(status === 409 || status === 422 ? "failed" : "expired");
    }
    if (again) send();
  }

  form.addEventListener("input", (event) => {
    keep();
    clearTimeout(timer);
    timer = setTimeout(send, ["radio", "checkbox", "select-one"].includes(event.target.type) ? 50 : 600);
  });
  form.addEventListener("change", () => {
    keep();
    clearTimeout(timer);
    timer = setTimeout(send, 50);
  });
  form.addEventListener("submit", () => {
    clearTimeout(timer);
    clearTimeout(retry);
    store.mark(key);
    store.write(key, { at: Date.now(), id: fresh(), pairs: answers(form), submitted: true });
    draft = null;
  });
  addEventListener("online", send);
  addEventListener("pagehide", send); // the last keystroke, whose seal may not be dry yet
  document.getElementById("saved")?.querySelector(".retry")?.addEventListener("click", () => {
    keep();
    send();
  });

  restore();

  async function restore() {
    const kept = store.look(key);
    if (kept?.submitted && answered()) return void store.drop(key);
    if (!kept) return;
    form.inert = true; // for the blink of an eye: what is typed now must not go over what was typed before
    const left = await store.read(key);
    form.inert = false;
    if (!left) return;
    draft = left;
    fill(form, left.pairs);
    form.dispatchEvent(new CustomEvent("daybreak:restored", { bubbles: true }));
    if (left.focus) document.getElementById(left.focus)?.focus();
    send();
  }
}

export function autosave() {
  const here = `${PREFIX}${session}:${location.pathname}:`;
  for (const key of store.keys()) {
    const draft = store.look(key);
    const stale = !draft?.sealed || Date.now() - draft.at > WEEK;
    // the next page arrived, so the send before it went through
    if (stale || (draft.submitted && !key.startsWith(here))) store.drop(key);
  }
  document.querySelectorAll("form[data-autosave]").forEach((form, n) => watch(form, here + (form.id || n)));
}
