// What the day board is made of: the server's table read into values, and the markup of one session.

const ICONS = { planned: "ring", confirmed: "text", arrived: "user", running: "play", done: "check", late: "clock", "no-show": "x", move: "move" };
const WORDS = { planned: "Planned", confirmed: "Confirmed", arrived: "Arrived", running: "In session", done: "Done", late: "Late", "no-show": "No-show", move: "Must move" };

const number = (text) => (text === undefined ? null : Number(text));

/** The day as the table and the list of devices say it. */
export function read(root) {
  const rows = root.getElementById("day-rows");
  return {
    version: Number(rows.dataset.version),
    on: rows.dataset.on,
    from: Number(rows.dataset.from),
    to: Number(rows.dataset.to),
    now: number(rows.dataset.now),
    mayMove: "mayMove" in rows.dataset,
    blocks: [...rows.querySelectorAll("tr[data-s]")].map(blockOf),
    kept: (rows.dataset.kept ?? "").split(" ").filter(Boolean).map((one) => one.split(":")).map(([lane, at, minutes]) => ({ lane, at: Number(at), minutes: Number(minutes) })),
    lanes: [...root.querySelectorAll("tr[data-lane]")].map((row) => ({
      id: row.dataset.lane,
      name: row.dataset.name,
      note: row.dataset.note,
      word: row.dataset.word ?? "",
      stops: (row.dataset.stops ?? "").split(" ").filter(Boolean).map((span) => span.split("-").map(Number)),
    })),
  };
}

function blockOf(row) {
  const cells = row.children;
  return {
    id: Number(row.dataset.s),
    lane: row.dataset.d,
    at: Number(row.dataset.at),
    minutes: Number(row.dataset.for),
    is: row.dataset.is,
    isAhead: "ahead" in row.dataset,
    isMapping: row.dataset.kind === "mapping",
    by: row.dataset.by ?? "",
    who: cells[0].querySelector("a").textContent,
    number: cells[3].textContent.trim().replace(" mapping", ""),
    said: cells[4].querySelector("b")?.textContent ?? "",
  };
}

const two = (n) => String(n).padStart(2, "0");

/** Wall time as the calendar reads it. */
export function wall(on, minute) {
  return minute >= 1440 ? `${on}T23:59:59` : `${on}T${two(Math.floor(minute / 60))}:${two(minute % 60)}:00`;
}

const clock = (minute) => `${Math.floor(minute / 60)}:${two(minute % 60)}`;

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "i");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

function span(text, name = "") {
  return Object.assign(document.createElement("span"), { textContent: text, className: name });
}

/** One session as it stands on the board: icon, initials, number of sessions; time and state for screen readers. */
export function slotOf(block) {
  const box = document.createElement("button");
  box.type = "button";
  box.tabIndex = -1; // one stop of the Tab key for the whole board
  box.className = block.minutes >= 60 ? "slot fill tall" : "slot fill";
  box.dataset.is = block.is;
  box.dataset.slot = block.id;
  const words = [block.isMapping && `Mapping and first session, ${block.minutes} min`, block.said].filter(Boolean).join(", ");
  box.append(
    icon(ICONS[block.is]),
    span(`${clock(block.at)} to ${clock(block.at + block.minutes)}, ${WORDS[block.is]}. `, "vh"),
    Object.assign(document.createElement("b"), { textContent: block.who }),
    ...(words ? [" ", span(words)] : []),
    " ",
    span(block.number, "push"),
  );
  return box;
}

/** A place that a hold keeps. */
export function keptMark() {
  const box = span("", "slot fill");
  box.dataset.is = "held";
  box.append(icon("lock"), span("Held"));
  return box;
}

/** Spans of the board in which a session may lie, from the spans of its legal starts. */
export function free(places, minutes) {
  return Object.entries(places).flatMap(([lane, spans]) =>
    spans.map(([first, last]) => ({ lane, from: first, until: last + minutes })),
  );
}
