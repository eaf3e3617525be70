// Patient pages. Everything here helps; nothing here is needed: each form also works as a plain POST.
import "htmx.org/dist/htmx.esm.js";
import { autosave } from "./autosave.js";
import { kiosk } from "./kiosk.js";
import { focusErrors, guardSends, oneTapFixes, printing, repeatedRows } from "./page.js";
import { suggestions } from "./suggest.js";
import { uploads } from "./upload.js";

/** Item 9 of the PHQ-9 at 1 or more, inside [data-item9]: the safety card opens before anything else, also without signal. */
function safetyCard() {
  let byKey = false;
  addEventListener("keydown", () => (byKey = true), true);
  addEventListener("pointerdown", () => (byKey = false), true);
  const open = (quietly) => {
    const card = document.querySelector("[data-safety]");
    if (!card?.hidden) return;
    card.hidden = false;
    // arrow keys pass over answers on their way to another: the card is announced, the focus stays
    if (quietly) return;
    card.querySelector("[tabindex='-1']")?.focus({ preventScroll: true });
    card.scrollIntoView({ block: "start" }); // the number to call is on the screen at once
  };
  const check = (root, quietly) => {
    if ([...root.querySelectorAll("[data-item9] input:checked")].some((answer) => Number(answer.value) >= 1)) open(quietly);
  };
  document.addEventListener("change", (event) => event.target.closest("[data-item9]") && check(document, byKey));
  document.addEventListener("daybreak:restored", () => check(document, true));
  document.addEventListener("daybreak:saved", (event) => event.detail?.safety && open(true));
  check(document, true);
}

guardSends();
printing();
focusErrors();
oneTapFixes();
repeatedRows();
safetyCard();
suggestions();
uploads();
kiosk();
autosave();
