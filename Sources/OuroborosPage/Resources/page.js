// Live updates: the gateway sends parts of the page, escaped already, under the ids that they have here.
"use strict";

const status = document.getElementById("status");
const pause = document.getElementById("pause");
let events = null;
let isPressed = false;
const waiting = new Map();

// Only what changed is announced.
function say(text) {
  if (status.textContent !== text) {
    status.textContent = text;
  }
}

// A link that has the keyboard's focus keeps it; one that is pressed stays until it is let go.
function replace(region, html) {
  if (isPressed) {
    waiting.set(region, html);
    return;
  }
  const active = document.activeElement;
  const focused = region.contains(active) ? active.getAttribute("href") : null;
  region.innerHTML = html;
  if (focused !== null) {
    region.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}

function listen() {
  events = new EventSource(document.body.dataset.events);
  events.addEventListener("status", (event) => say(event.data));
  for (const region of document.querySelectorAll("[data-live]")) {
    events.addEventListener(region.id, (event) => replace(region, event.data));
  }
  events.onopen = () => {
    pause.hidden = false;
  };
  events.onerror = () => {
    const isOver = events.readyState === EventSource.CLOSED;
    say(isOver ? "No live updates: reload the page." : "Live updates are interrupted.");
  };
}

addEventListener("pointerdown", () => {
  isPressed = true;
});

for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, () => {
    isPressed = false;
    // After the click that follows.
    setTimeout(() => {
      waiting.forEach((html, region) => replace(region, html));
      waiting.clear();
    });
  });
}

pause.addEventListener("click", () => {
  if (events === null) {
    listen();
    pause.textContent = "Pause updates";
  } else {
    events.close();
    events = null;
    pause.textContent = "Resume updates";
  }
});

listen();
