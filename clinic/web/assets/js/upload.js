// Files: their size is checked before they are sent, and the way is shown. Without script the form is a plain POST.

export function uploads() {
  for (const form of document.querySelectorAll("form[data-upload]")) attach(form);
}

function attach(form) {
  const field = form.querySelector("input[type=file]");
  const problem = document.getElementById(`${field.id}-error`);
  const meter = form.querySelector("progress");
  const limit = Number(form.dataset.limit);

  const say = (words) => {
    problem.textContent = words;
    problem.hidden = !words;
    if (words) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  };
  const tooBig = () => {
    const file = [...field.files].find((each) => each.size > limit);
    return file ? form.dataset.tooBig.replace("{size}", Math.ceil(file.size / 1e6)) : "";
  };
  field.addEventListener("change", () => say(tooBig()));

  form.addEventListener("submit", (event) => {
    if (!field.files.length || event.defaultPrevented) return;
    event.preventDefault();
    if (tooBig()) {
      say(tooBig());
      field.focus();
      return release(form);
    }
    send(form, meter, say);
  });
}

function send(form, meter, say) {
  const request = new XMLHttpRequest();
  const shown = meter.parentElement;
  const failed = (words) => {
    shown.hidden = true;
    say(words);
    release(form);
  };
  shown.hidden = false;
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) meter.value = (100 * event.loaded) / event.total;
  });
  request.addEventListener("error", () => failed(form.dataset.lost));
  request.addEventListener("load", () => {
    let answer = {};
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      // a page instead of an answer: signed out, or an error page
    }
    if (answer.errors?.length) failed(answer.errors.join(" "));
    else location.assign(answer.url ?? location.href);
  });
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.send(new FormData(form));
}

/** The form can be sent again. */
function release(form) {
  delete form.dataset.sending;
  form.dispatchEvent(new CustomEvent("daybreak:ready", { bubbles: true }));
}
