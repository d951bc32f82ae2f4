/**
 * The sync status: how far one's own edits have got (this device, sent, durable on the relay), in words and in steps.
 *
 * Always holds: a step is ticked only if the document says so of everything edited so far. Not here: the switch.
 */

import type { Status } from "selvedge";

import type { Page } from "../page.js";
import { byId, setText } from "./dom.js";

type Mood = "good" | "busy" | "waiting" | "bad";

/** A status in words. */
export interface Verdict {
  readonly mood: Mood;
  readonly text: string;
}

/** Words shown for a shorter time than this are not worth reading out. */
const SETTLE_MS = 250;

/** What a status means for the person who writes. */
export function verdict(status: Status): Verdict {
  const { saved, connected, sent, durable, caughtUp, online, error } = status;
  if (error && (error.code === "store" || error.code === "quota")) {
    return { mood: "bad", text: durable ? "Not saved on this device, but on the relay" : "Not saved: keep this tab open" };
  }
  if (!saved) return { mood: "busy", text: "Saving on this device…" };
  if (error?.code === "relay" && !connected) {
    return { mood: "bad", text: "Saved on this device. The relay refuses the page" };
  }
  const rest = durable ? "Everything is on the relay" : "Saved on this device";
  if (!online) return { mood: "waiting", text: `Offline. ${rest}` };
  if (!connected) return { mood: "waiting", text: `Relay out of reach. ${rest}` };
  if (!sent) return { mood: "busy", text: "Saved on this device. Sending…" };
  if (!durable) return { mood: "busy", text: "Sent. The relay is storing it…" };
  if (!caughtUp) return { mood: "busy", text: "Saved. Fetching what is new…" };
  return { mood: "good", text: "Saved on this device and on the relay" };
}

/** Connects the status display. */
export function mountStatus(page: Page): void {
  const box = byId("sync");
  const words = byId("sync-words");
  const steps = { saved: byId("step-saved"), sent: byId("step-sent"), durable: byId("step-durable") };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waiting = "";
  const stop = page.doc.onStatus((status) => {
    const { mood, text } = verdict(status);
    box.dataset["mood"] = mood;
    for (const flag of ["saved", "connected", "sent", "durable", "caughtUp", "online"] as const) {
      box.dataset[flag.toLowerCase()] = String(status[flag]);
    }
    for (const [flag, step] of Object.entries(steps)) {
      const done = status[flag as keyof typeof steps];
      step.classList.toggle("step-done", done);
      setText(step.querySelector(".step-state") as Element, done ? "yes" : "not yet");
    }
    waiting = text;
    timer ??= setTimeout(() => {
      timer = undefined;
      setText(words, waiting);
    }, words.textContent === "" ? 0 : SETTLE_MS);
  });
  page.signal.addEventListener("abort", () => {
    clearTimeout(timer);
    stop();
  });
}
