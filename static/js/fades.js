/** The curves by which one sound gives way to another. */

export const CROSSFADE_S = 0.015;
export const EDGE_S = 0.008; // at play, pause, the clip's end and a loop's seam, against clicks

const POINTS = 33; // a browser draws straight lines between them: within 0.03 % of the curve

function pair(shape) {
  const rise = Float32Array.from({ length: POINTS }, (_, i) => shape(i / (POINTS - 1)));
  return { rise, fall: rise.slice().reverse() };
}

/** A quarter of a sine: 0 to 1 as x goes from 0 to 1. */
export const quarter = (x) => Math.sin((x * Math.PI) / 2);

/** Between two different sounds: their powers add, and sin² + cos² = 1. */
export const EQUAL_POWER = pair(quarter);

/** Between two voices with the very same sound: their amplitudes add. */
export const EQUAL_GAIN = pair((x) => x);
