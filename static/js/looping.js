/** A region that repeats: its limits, where the playhead is in it, and the dip that hides its seam. */
import { EDGE_S, quarter } from './fades.js';

export const MIN_LOOP_S = 0.5;

/** `loop` as it can be played: within [0, duration], at least MIN_LOOP_S long (or all of a shorter clip), on whole
    samples, so that it repeats exactly. Throws RangeError unless start and end are numbers in order. */
export function region({ start, end }, duration, sampleRate) {
  if (!(Number.isFinite(start) && Number.isFinite(end) && start <= end)) {
    throw new RangeError(`A loop needs start <= end in seconds, not ${start} and ${end}.`);
  }
  const length = Math.min(duration, Math.max(MIN_LOOP_S, end - start));
  const from = Math.min(Math.max(0, start), duration - length);
  const to = Math.min(duration, from + length);
  return Object.freeze({ start: Math.round(from * sampleRate) / sampleRate, end: Math.floor(to * sampleRate) / sampleRate });
}

/** Where a playhead that would be at `seconds` without the loop is, and how often it has wrapped. */
export function wrap(loop, seconds) {
  if (!loop || seconds < loop.end) return { position: seconds, passes: 0 };
  const length = loop.end - loop.start;
  const passes = 1 + Math.floor((seconds - loop.end) / length);
  return { position: seconds - passes * length, passes };
}

/** What to add to a gain of 1, once per pass: down to silence towards the loop's end, up again after its start.
    Played in a loop of its own beside the clip, it needs no timer and never drifts. */
export function dips(loop, sampleRate) {
  const length = Math.round((loop.end - loop.start) * sampleRate);
  const buffer = new AudioBuffer({ length, sampleRate });
  const samples = buffer.getChannelData(0);
  const edge = Math.round(EDGE_S * sampleRate);
  for (let i = 0; i < edge; i += 1) {
    samples[i] = quarter(i / edge) - 1;
    samples[length - 1 - i] = samples[i];
  }
  return buffer;
}
