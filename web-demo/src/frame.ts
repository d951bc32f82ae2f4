/**
 * Drawing at most once per animation frame, however often the document changes.
 *
 * Always holds: after a request, `draw` runs within a frame or, where frames are slow or the tab is hidden, within a
 * second; a slow `draw` leaves the page at least three times as long for other work as it took itself.
 */

/** A drawing that can be asked for. */
export interface Drawing {
  /** Draws soon, once for all requests until then. */
  request(): void;
  /** Draws now if it was asked for. */
  flush(): void;
  /** Never draws again. */
  stop(): void;
}

/** Longest wait where no animation frames come. */
const HIDDEN_MS = 300;
const LONGEST_PAUSE_MS = 1000;

/** Makes a drawing of `draw`. */
export function perFrame(draw: () => void): Drawing {
  let wanted = false;
  let stopped = false;
  let frame = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let notBefore = 0;

  const disarm = (): void => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    timer = undefined;
  };
  const run = (): void => {
    disarm();
    if (!wanted || stopped) return;
    wanted = false;
    const start = performance.now();
    draw();
    const end = performance.now();
    notBefore = end + Math.min(LONGEST_PAUSE_MS, 3 * (end - start));
  };
  const arm = (): void => {
    const pause = notBefore - performance.now();
    if (pause > 16) {
      timer = setTimeout(run, pause);
      return;
    }
    frame = requestAnimationFrame(run);
    timer = setTimeout(run, HIDDEN_MS);
  };

  return {
    request() {
      if (wanted || stopped) return;
      wanted = true;
      arm();
    },
    flush: run,
    stop() {
      stopped = true;
      disarm();
    },
  };
}
