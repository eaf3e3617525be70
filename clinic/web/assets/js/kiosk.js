// The form on a tablet of the clinic: a question after eight minutes alone, the end after ten. The server keeps the same
// clock, so that nothing depends on this script.
const TOLD_EVERY = 60_000;

export function kiosk() {
  if (document.querySelector("[data-forget]")) forget();
  const { kiosk: isKiosk, warns, ends, still } = document.body.dataset;
  if (isKiosk === undefined) return;
  const dialog = document.getElementById("idle");
  const form = document.getElementById("hand-back");
  let seen = Date.now(), told = Date.now();

  const tell = () => {
    told = Date.now();
    const body = new URLSearchParams({ csrf_token: form.elements.csrf_token?.value ?? "" });
    fetch(still, { method: "POST", body, redirect: "manual" })
      .then((answer) => answer.type === "opaqueredirect" && form.requestSubmit())
      .catch(() => {}); // no signal: the clock here goes on
  };
  const here = () => {
    if (dialog.open) return;
    seen = Date.now();
    if (seen - told > TOLD_EVERY) tell();
  };
  for (const kind of ["pointerdown", "keydown", "input", "scroll"]) addEventListener(kind, here, { passive: true, capture: true });
  const back = () => {
    dialog.close();
    seen = Date.now();
    tell();
  };
  dialog.querySelector("[data-still-here]").addEventListener("click", back);
  dialog.addEventListener("cancel", (event) => (event.preventDefault(), back()));
  const ticking = setInterval(() => {
    const alone = (Date.now() - seen) / 1000;
    if (alone >= Number(ends)) {
      clearInterval(ticking);
      form.requestSubmit();
    } else if (alone >= Number(warns) && !dialog.open) dialog.showModal();
  }, 1000);
}

/** Whatever a page of this site kept on the device. */
function forget() {
  try {
    localStorage.clear();
    sessionStorage.clear();
  } catch {
    // nothing can be kept here
  }
}
