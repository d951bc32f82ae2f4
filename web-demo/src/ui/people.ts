/**
 * Who is here: round pictures in the bar, and a list with names in which one's own can be changed.
 */

import type { Peer } from "selvedge";

import { colour, colourOf, freeHue, hueOf, initials, myself, nameOf, remember } from "../identity.js";
import type { Page } from "../page.js";
import { byId, h, setText } from "./dom.js";

const MAX_PICTURES = 4;

/** Connects the people. */
export function mountPeople(page: Page): void {
  let me = myself();
  const pictures = byId("people-pictures");
  const names = byId("people-names");
  const button = byId("people-button");
  const count = byId("people-count");
  const field = byId<HTMLInputElement>("my-name");
  let others: readonly Peer[] = [];

  const picture = (name: string, color: string, mine: boolean): HTMLElement => {
    const element = h("span", { class: mine ? "person person-me" : "person", title: mine ? `${name} (you)` : name }, initials(name));
    element.style.setProperty("--person", color);
    return element;
  };
  const show = (): void => {
    const all = [
      { name: me.name, color: colour(me.hue), mine: true },
      ...others.map((peer) => ({ name: nameOf(peer), color: colourOf(peer), mine: false })),
    ];
    const more = all.length - MAX_PICTURES;
    const shown = all.slice(0, more > 0 ? MAX_PICTURES - 1 : MAX_PICTURES);
    const rest = more > 0 ? [h("span", { class: "person person-more" }, `+${more + 1}`)] : [];
    pictures.replaceChildren(...shown.map((one) => picture(one.name, one.color, one.mine)), ...rest);
    names.replaceChildren(
      ...all.slice(1).map((one) => h("li", {}, picture(one.name, one.color, false), h("span", {}, one.name))),
    );
    byId("people-alone").hidden = others.length > 0;
    const here = others.length === 0 ? "Only you are here" : `${others.length + 1} people are here`;
    button.setAttribute("aria-label", `Who is here: ${here}`);
    setText(count, here);
  };
  const say = (): void => page.doc.presence.set("me", { name: me.name, hue: me.hue });

  field.value = me.name;
  field.addEventListener("change", () => {
    const name = field.value.trim();
    me = name === "" ? me : remember({ ...me, name });
    field.value = me.name;
    say();
    show();
  }, { signal: page.signal });
  field.addEventListener("keydown", (event) => event.key === "Enter" && field.blur(), { signal: page.signal });
  say();
  const stop = page.doc.onPresence((peers) => {
    others = peers.filter((peer) => "me" in peer.state);
    // Two of one colour: the one whose id is larger takes another, for this visit.
    const first = others.filter((peer) => peer.owner < page.doc.replica);
    const hue = freeHue(me.hue, first.map(hueOf));
    if (hue !== me.hue) {
      me = { ...me, hue };
      say();
    }
    show();
  });
  page.signal.addEventListener("abort", stop);
}
