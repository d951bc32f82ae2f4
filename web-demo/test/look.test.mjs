/**
 * What can be measured of the looks: nothing overflows, everything has a name and room for a finger, nothing jumps.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { browser, device, Relay, Tab } from "./harness.mjs";

const SIZES = [
  { name: "desktop", viewport: { width: 1280, height: 800 } },
  { name: "tablet", viewport: { width: 820, height: 1180 }, hasTouch: true },
  { name: "phone", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
  { name: "small phone", viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true },
];
const FINGER = 44;

/** Widest overflow of the page, controls without a name, and controls that are too small for a finger. */
function measure(finger) {
  const controls = [...document.querySelectorAll("button, input, textarea, a[href], [role=switch]")].filter(
    (control) => control.checkVisibility() && !control.matches("[data-skip]"),
  );
  const area = (control) => (control.matches(".item-check") ? control.closest("label") : control).getBoundingClientRect();
  const name = (control) =>
    control.getAttribute("aria-label") ?? control.labels?.[0]?.textContent ?? control.textContent.trim();
  return {
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    nameless: controls.filter((control) => !name(control)).map((control) => control.outerHTML.slice(0, 120)),
    small: controls
      .filter((control) => !control.matches("#text, #title"))
      .map((control) => [name(control), Math.round(area(control).width), Math.round(area(control).height)])
      .filter(([, width, height]) => height < finger || width < finger - 4),
  };
}

test("at every size nothing overflows, all controls are named, and on touch screens they fit a finger", async (t) => {
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  for (const { name, ...options } of SIZES) {
    const tab = await Tab.open(await device(chromium, options), relay.url, "look");
    await tab.setTitle("A title that is rather long and needs two rows on a phone");
    await tab.addItem(`A line ${"with a word without end ".repeat(3)}${"x".repeat(80)}`);
    await tab.addTag("a-tag-without-any-place-to-break-it-that-goes-on-and-on-for");
    await tab.type(`${"y".repeat(300)}\n`);
    const { overflow, nameless, small } = await tab.page.evaluate(measure, FINGER);
    assert.equal(overflow, 0, name);
    assert.deepEqual(nameless, [], name);
    if (options.hasTouch) assert.deepEqual(small, [], name);
    await tab.page.context().close();
  }
});
