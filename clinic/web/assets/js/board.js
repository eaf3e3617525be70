// The day board. The server's table of the day is the product: it prints, and it works without this script. Here it
// becomes a calendar of devices by time, with drag and keys, and both stay up to date while other people work on the day.
import { createCalendar, Interaction, ResourceTimeGrid } from "@event-calendar/core";
import { free, keptMark, read, slotOf, wall } from "./board_parts.js";

const POLL = 1500; // what others change shows within two seconds
const STALE = 60000;
const ROW = 27; // px of a quarter of an hour
const GRID = 15;

const at = (id) => document.getElementById(id);
const holder = at("calendar");
const beside = at("beside");
const press = at("press");
const said = at("board-said");
const split = document.querySelector(".board-split");
const views = document.querySelector("[data-views]");

let day = read(document);
let calendar = null;
let chosen = Number(document.querySelector("[data-panel]")?.dataset.panel) || 0;
let dragging = false;
let mine = new Map(); // sessions that this page changed itself, with the time
let lastHeard = Date.now();
let loading = null; // stops the panel that is on its way
let walking = 0;
let arriving = null; // settles when it is there
const opened = Date.now();

// -- asking the server -----------------------------------------------------------------------------------------------

/** A part of a page. Null where the server did not answer with one. */
async function part(url, signal) {
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, signal });
    if (answer.status === 204) return "";
    if (!answer.ok || answer.redirected) return null;
    return await answer.text();
  } catch {
    return null;
  }
}

function problem(kind, words) {
  const box = at("problem");
  const note = document.createElement("p");
  note.className = "note problem";
  note.dataset.is = "stop";
  note.textContent = words ?? box.dataset[kind];
  box.replaceChildren(note);
}

/** Send a form in place of the browser; answers what the server says, or null. */
async function send(url, data) {
  try {
    const answer = await fetch(url, { method: "POST", body: data, headers: { Accept: "application/json" } });
    const said = answer.headers.get("Content-Type")?.includes("json") ? await answer.json() : null;
    if (said && (answer.ok || answer.status === 409)) return { ok: answer.ok, ...said };
    problem(answer.status === 403 ? "refused" : answer.status >= 500 ? "server" : answer.status === 429 ? "busy" : "expired");
  } catch {
    problem("network");
  }
  return null;
}

const token = () => document.querySelector("input[name=csrf_token]")?.value ?? "";

/** "Done. Undo": ten seconds, then it moves to the list at the page's end. */
function toast(words, undoUrl) {
  const tray = at("toasts");
  const box = document.createElement("div");
  box.className = "toast";
  box.dataset.toast = "";
  const text = document.createElement("p");
  text.textContent = words;
  box.append(text);
  for (const older of tray.querySelectorAll("[data-key]")) delete older.dataset.key;
  if (undoUrl) {
    const form = document.createElement("form");
    form.method = "post";
    form.action = undoUrl;
    const hidden = Object.assign(document.createElement("input"), { type: "hidden", name: "csrf_token", value: token() });
    const button = Object.assign(document.createElement("button"), { className: "btn plain", textContent: "Undo" });
    button.dataset.key = "z";
    form.append(hidden, button);
    box.append(form);
  }
  tray.prepend(box);
}

// -- the board -------------------------------------------------------------------------------------------------------

const isWide = matchMedia("(min-width: 48rem)");
const wanted = () => (localStorage.getItem("board-view") ?? "board") === "board";
const isBoard = () => split.classList.contains("as-board");

function events() {
  const found = day.blocks.map((block) => ({
    id: String(block.id),
    resourceId: block.lane,
    start: wall(day.on, block.at),
    end: wall(day.on, block.at + block.minutes),
    editable: day.mayMove && block.isAhead,
    extendedProps: { block },
  }));
  for (const lane of day.lanes) {
    for (const [from, until] of lane.stops) {
      found.push({ id: `d${lane.id}-${from}`, resourceId: lane.id, display: "background", classNames: ["down"],
        start: wall(day.on, Math.max(from, day.from * 60)), end: wall(day.on, Math.min(until, day.to * 60)) });
    }
  }
  for (const kept of day.kept) {
    found.push({ id: `k${kept.lane}-${kept.at}`, resourceId: kept.lane, display: "background", classNames: ["kept"], title: "Held",
      start: wall(day.on, kept.at), end: wall(day.on, kept.at + kept.minutes) });
  }
  return found;
}

const resources = () => day.lanes.map((lane) => ({ id: lane.id, title: lane.name, extendedProps: { lane } }));

function laneLabel({ resource }) {
  const { lane } = resource.extendedProps;
  const box = document.createElement("div");
  const name = Object.assign(document.createElement("b"), { textContent: lane.name });
  const note = Object.assign(document.createElement("span"), { className: lane.word ? "state bare" : "meta", textContent: lane.word || lane.note });
  if (lane.word) note.dataset.is = "due";
  box.append(name, note);
  return { domNodes: [box] };
}

function show() {
  const board = wanted() && isWide.matches && day.lanes.length > 0;
  split.classList.toggle("as-board", board);
  holder.hidden = !board;
  for (const part of document.querySelectorAll("[data-needs-board]")) part.hidden = !board;
  views.hidden = !isWide.matches || !day.lanes.length;
  for (const one of views.children) {
    if ((one.dataset.view === "board") === board) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }
  if (board && !calendar) make();
}

function make() {
  calendar = createCalendar(holder, [ResourceTimeGrid, Interaction], {
    view: "resourceTimeGridDay",
    date: day.on,
    headerToolbar: { start: "", center: "", end: "" },
    allDaySlot: false,
    slotDuration: `00:${GRID}`,
    slotHeight: ROW,
    slotLabelInterval: "01:00",
    slotLabelFormat: (time) => `${time.getHours()}:00`,
    slotMinTime: `${day.from}:00`,
    slotMaxTime: `${day.to}:00`,
    slotEventOverlap: false,
    snapDuration: "00:05",
    eventDurationEditable: false,
    dragScroll: true,
    columnWidth: "minmax(7.25rem, 1fr)",
    height: "auto",
    resources: resources(),
    resourceLabelContent: laneLabel,
    events: events(),
    eventContent: ({ event }) => ({ domNodes: event.extendedProps.block ? [slotOf(event.extendedProps.block)] : event.title ? [keptMark()] : [] }),
    eventDidMount: tidySoon,
    eventDragStart,
    eventDragStop: () => {
      dragging = false;
      takeAway("free");
    },
    eventDrop,
  });
  const root = holder.querySelector(".ec");
  root.setAttribute("role", "group"); // a grid of buttons, not a table of cells
  root.setAttribute("aria-label", "Board: devices by time. Arrow keys go from session to session.");
  nowLine();
  tidySoon();
}

function redraw() {
  if (!calendar) return;
  const focused = Number(document.activeElement?.dataset?.slot) || 0;
  calendar.setOption("slotMinTime", `${day.from}:00`);
  calendar.setOption("slotMaxTime", `${day.to}:00`);
  calendar.setOption("resources", resources());
  calendar.setOption("events", events());
  nowLine();
  requestAnimationFrame(() => {
    tidy();
    if (focused && isBoard()) button(focused)?.focus({ preventScroll: true });
  });
}

const button = (id) => holder.querySelector(`.ec-event:not(.ec-ghost, .ec-preview) [data-slot="${id}"]`);

let tidying = 0;
function tidySoon() {
  cancelAnimationFrame(tidying);
  tidying = requestAnimationFrame(tidy);
}

/** One stop of the Tab key for the whole board: the chosen session, else the next one to come. */
function tidy() {
  const all = [...holder.querySelectorAll("[data-slot]")];
  const stop = button(chosen) ?? button(nextUp()?.id) ?? all[0];
  for (const one of all) {
    one.tabIndex = one === stop ? 0 : -1;
    if (one === button(chosen)) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }
  for (const cell of holder.querySelectorAll("[role=row], [role=rowgroup], [role=columnheader], [role=cell]")) cell.removeAttribute("role");
  for (const cell of holder.querySelectorAll("[aria-colindex]")) cell.removeAttribute("aria-colindex");
}

const minuteNow = () => (day.now === null ? null : day.now + Math.floor((Date.now() - opened) / 60000));

function nextUp() {
  const now = minuteNow() ?? 0;
  return day.blocks.find((block) => block.at + block.minutes > now && block.is !== "done") ?? day.blocks[0];
}

function nowLine() {
  const body = holder.querySelector(".ec-body");
  const now = minuteNow();
  body?.querySelector(".nowline")?.remove();
  if (!body || now === null || now < day.from * 60 || now > day.to * 60) return;
  const line = document.createElement("div");
  line.className = "nowline";
  line.style.top = `${((now - day.from * 60) / GRID) * ROW}px`;
  const mark = document.createElement("span");
  mark.textContent = `${Math.floor(now / 60)}:${String(now % 60).padStart(2, "0")}`;
  line.append(mark);
  body.append(line);
}

function jumpToNow() {
  const line = holder.querySelector(".nowline");
  const next = nextUp();
  if (isBoard()) {
    line?.scrollIntoView({ block: "center" });
    if (next) choose(next.id, { focus: true });
  } else {
    at(`s${next?.id}`)?.scrollIntoView({ block: "center" });
  }
}

// -- one session -----------------------------------------------------------------------------------------------------

async function choose(id, { focus = false, open = false } = {}) {
  const block = day.blocks.find((one) => one.id === id);
  if (!block) return;
  const same = chosen === id && beside.querySelector(`[data-panel="${id}"]`);
  chosen = id;
  tidy();
  for (const row of document.querySelectorAll("tr[data-s]")) row.classList.toggle("lit", Number(row.dataset.s) === id);
  if (focus) {
    const here = button(id);
    here?.focus({ preventScroll: true });
    here?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  history.replaceState(null, "", `?s=${id}`);
  if (!same) await panel(`/staff/sessions/${id}/panel`);
  if (open) beside.querySelector("#panel")?.focus({ preventScroll: isWide.matches });
}

function panel(url) {
  loading?.abort();
  loading = new AbortController();
  const { signal } = loading;
  arriving = part(url, signal).then((html) => {
    if (signal.aborted) return;
    if (html) put(beside, html);
    arriving = null;
  });
  return arriving;
}

function put(box, html) {
  box.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
}

/** M: the free times of the day, nearest first under the focus; arrows choose, Enter moves, Esc keeps. */
async function freeTimes(url) {
  const to = new URL(url, location.href);
  to.searchParams.set("part", "1");
  const html = await part(to);
  if (html === null) return void location.assign(url);
  put(beside, html);
  const buttons = [...beside.querySelectorAll(".free-times button")];
  const block = day.blocks.find((one) => one.id === chosen);
  const later = block && buttons.find((one) => minuteOf(one) > block.at);
  (later ?? buttons[0] ?? beside.querySelector("#panel"))?.focus();
}

const minuteOf = (one) => {
  const [hours, minutes] = one.textContent.trim().slice(0, 5).split(":").map(Number);
  return hours * 60 + minutes;
};

function keep() {
  takeAway("aim");
  const id = chosen;
  panel(`/staff/sessions/${id}/panel`);
  if (isBoard()) button(id)?.focus();
}

/** Where the focused free time lies on the board. */
function aim(one) {
  takeAway("aim");
  const place = one.form?.elements.place?.value;
  const lane = place?.split(" ")[1];
  const block = day.blocks.find((other) => other.id === chosen);
  if (!calendar || !block || !day.lanes.some((other) => other.id === lane)) return;
  const from = minuteOf(one);
  calendar.addEvent({ id: "aim", resourceId: lane, display: "background", classNames: ["aim"],
    start: wall(day.on, from), end: wall(day.on, from + block.minutes) });
}

function takeAway(kind) {
  if (!calendar) return;
  for (const event of calendar.getEvents()) if (event.classNames.includes(kind)) calendar.removeEventById(event.id);
}

// -- drag ------------------------------------------------------------------------------------------------------------

async function eventDragStart({ event }) {
  dragging = true;
  const block = event.extendedProps.block;
  try {
    const answer = await fetch(`/staff/sessions/${block.id}/places?on=${day.on}`, { headers: { Accept: "application/json" } });
    const { places } = await answer.json();
    if (!dragging) return;
    for (const span of free(places, block.minutes)) {
      calendar.addEvent({ id: `f${span.lane}-${span.from}`, resourceId: span.lane, display: "background", classNames: ["free"],
        start: wall(day.on, span.from), end: wall(day.on, span.until) });
    }
  } catch {
    // the free places are a help: where they do not come, the drop is still judged
  }
}

async function eventDrop({ event, revert }) {
  dragging = false;
  takeAway("free");
  const block = event.extendedProps.block;
  const data = new FormData();
  data.set("csrf_token", token());
  data.set("on", day.on);
  data.set("minute", String(event.start.getHours() * 60 + event.start.getMinutes()));
  data.set("device", String(event.resourceIds[0]));
  mine.set(block.id, Date.now());
  const answer = await send(`/staff/sessions/${block.id}/move`, data);
  if (!answer?.ok) {
    revert();
    if (answer) refused(answer.say);
    return;
  }
  answered(answer);
  choose(block.id, { focus: true });
}

function refused(words) {
  said.textContent = words;
  problem("", words);
}

async function answered(answer) {
  at("problem").replaceChildren();
  toast(answer.say, answer.undo_url);
  await look(true);
  if (chosen) await panel(`/staff/sessions/${chosen}/panel`);
  document.dispatchEvent(new Event("daybreak:ready"));
}

// -- what others change ----------------------------------------------------------------------------------------------

async function look(always = false) {
  if (document.hidden || (dragging && !always)) return;
  const html = await part(`${holder.dataset.changes}?v=${day.version}`);
  if (html === null) return age();
  lastHeard = Date.now();
  age();
  if (html) take(html);
}

function take(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const before = new Map(day.blocks.map((block) => [block.id, block]));
  const within = document.activeElement?.closest?.("tr[data-s]")?.id;
  const wasButton = document.activeElement?.matches?.("button[name=do]");
  for (const id of ["day-words", "day-rows", "day-lanes", "day-people"]) {
    const next = fresh.getElementById(id);
    if (next) at(id)?.replaceWith(next);
  }
  day = read(document);
  if (within && !isBoard()) (at(within)?.querySelector(wasButton ? "button[name=do]" : "a") ?? at(within)?.querySelector("a"))?.focus({ preventScroll: true });
  redraw();
  age();
  const now = Date.now();
  const lines = [];
  for (const block of day.blocks) {
    const old = before.get(block.id);
    const isSame = old && old.at === block.at && old.lane === block.lane && old.is === block.is;
    if (isSame || !block.by || now - (mine.get(block.id) ?? 0) < 5000) continue;
    lines.push(`${block.who}: ${block.by}`);
    requestAnimationFrame(() => holder.querySelector(`[data-slot="${block.id}"]`)?.classList.add("fresh"));
    at(`s${block.id}`)?.classList.add("fresh");
    if (block.id === chosen) elsewhere(block);
  }
  for (const [id, old] of before) {
    if (id === chosen && !day.blocks.some((block) => block.id === id)) elsewhere({ ...old, by: "moved to another day, or cancelled", gone: true });
  }
  if (lines.length) said.textContent = lines.join(". ");
}

/** Someone else changed the session that is open here: say so; what was begun here stays. */
function elsewhere(block) {
  const note = beside.querySelector("[data-elsewhere]");
  const moving = beside.querySelector("[data-moving]");
  const hours = `${Math.floor(block.at / 60)}:${String(block.at % 60).padStart(2, "0")}`;
  const words = block.gone ? `${block.who} was ${block.by}.` : `${block.who} was ${block.by}: now ${hours}, ${day.lanes.find((lane) => lane.id === block.lane)?.name ?? ""}.`;
  if (moving) problem("", `${words} Your choice of times may be old.`);
  else if (block.gone && note) Object.assign(note, { hidden: false, textContent: words });
  else panel(`/staff/sessions/${block.id}/panel`).then(() => {
    const fresh = beside.querySelector("[data-elsewhere]");
    if (fresh) Object.assign(fresh, { hidden: false, textContent: words });
  });
}

/** Live data shows its age. */
function age() {
  const mark = document.querySelector("[data-age]");
  if (!mark) return;
  const isOld = Date.now() - lastHeard > STALE;
  mark.classList.toggle("old", isOld);
  const minutes = Math.floor((Date.now() - lastHeard) / 60000);
  if (isOld) mark.textContent = `not up to date for ${minutes} minute${minutes === 1 ? "" : "s"}: no answer from the clinic's server`;
  else {
    const now = minuteNow();
    if (now !== null) mark.textContent = `as of ${String(Math.floor(now / 60)).padStart(2, "0")}:${String(now % 60).padStart(2, "0")}`;
  }
}

// -- pointer and keys ------------------------------------------------------------------------------------------------

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || !(press.contains(form) || form === press || beside.contains(form) || at("toasts").contains(form))) return;
  event.preventDefault();
  const data = new FormData(form);
  if (event.submitter?.name) data.set(event.submitter.name, event.submitter.value);
  const pressed = Number((data.get("do") ?? "").toString().split(" ")[1]) || Number(form.action.match(/sessions\/(\d+)\//)?.[1]) || 0;
  if (pressed) mine.set(pressed, Date.now());
  form.closest("dialog")?.close();
  const isMove = Boolean(beside.querySelector("[data-moving]"));
  form.closest("[data-toast]")?.remove();
  takeAway("aim");
  const answer = await send(form.action, data);
  if (answer?.ok) {
    await answered(answer);
    if (isMove && isBoard()) button(chosen)?.focus();
  } else {
    if (answer) refused(answer.say);
    document.dispatchEvent(new Event("daybreak:ready"));
    await look(true);
  }
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a");
  if (link?.matches("[data-move], [data-part]") && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    freeTimes(link.href);
  } else if (link?.closest("tr[data-s]") && isWide.matches) {
    event.preventDefault();
    choose(Number(link.closest("tr").dataset.s), { open: true });
  } else if (link?.dataset.key === "t" && link.hasAttribute("aria-current")) {
    event.preventDefault();
    jumpToNow();
  } else if (event.target.closest?.("[data-slot]")) {
    choose(Number(event.target.closest("[data-slot]").dataset.slot), { open: true });
  } else if (event.target.closest?.("[data-keep]")) {
    keep();
  } else if (event.target.closest?.("[data-view]")) {
    localStorage.setItem("board-view", event.target.closest("[data-view]").dataset.view);
    show();
  }
});

beside.addEventListener("focusin", (event) => event.target.closest(".free-times button") && aim(event.target));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if ((arriving || walking) && /^[asfmx]$/i.test(event.key) && holder.contains(event.target)) {
    event.stopImmediatePropagation(); // pressed for the session that is on its way to the side
    pressSoon(event.key.toLowerCase());
    return;
  }
  const list = event.target.closest?.("[data-moving]") && [...beside.querySelectorAll(".free-times button")];
  if (event.key === "Escape" && beside.querySelector("[data-moving]")) return void keep();
  if (list?.length && event.target.matches("button") && ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"].includes(event.key)) {
    event.preventDefault();
    const by = event.key === "ArrowUp" || event.key === "ArrowLeft" ? -1 : 1;
    list[(list.indexOf(event.target) + by + list.length) % list.length].focus();
  } else if (holder.contains(event.target) && event.key.startsWith("Arrow")) {
    event.preventDefault();
    walk(event.key);
  }
}, true);

async function pressSoon(key) {
  clearTimeout(walking);
  walking = 0;
  await (arriving ?? choose(chosen));
  beside.querySelector(`[data-key="${key}"]:not([aria-disabled=true])`)?.click();
}

/** Up and down: session by session on a device. Left and right: the nearest in time on the next device that has any. */
function walk(key) {
  const here = day.blocks.find((block) => block.id === chosen) ?? nextUp();
  if (!here) return;
  const lanes = day.lanes.map((lane) => day.blocks.filter((block) => block.lane === lane.id)).filter((lane) => lane.length);
  const n = lanes.findIndex((lane) => lane.includes(here));
  let next;
  if (key === "ArrowUp" || key === "ArrowDown") next = lanes[n][lanes[n].indexOf(here) + (key === "ArrowUp" ? -1 : 1)];
  else next = lanes[n + (key === "ArrowLeft" ? -1 : 1)]?.reduce((best, block) => (Math.abs(block.at - here.at) < Math.abs(best.at - here.at) ? block : best));
  if (!next) return;
  chosen = next.id;
  tidy();
  const target = button(next.id);
  target?.focus({ preventScroll: true });
  target?.scrollIntoView({ block: "nearest", inline: "nearest" });
  clearTimeout(walking);
  walking = setTimeout(() => {
    walking = 0;
    choose(next.id);
  }, 150);
}

// -- begin -----------------------------------------------------------------------------------------------------------

show();
isWide.addEventListener("change", show);
setInterval(look, POLL);
setInterval(() => {
  nowLine();
  age();
}, 15000);
document.addEventListener("visibilitychange", () => look());
