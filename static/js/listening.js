/** What was heard of two clips, in whole milliseconds of clip time: computed as the server computes it. And what the
    listener did, with its times.

    An interval opens when a clip becomes audible and closes when it stops being so; repeats stay separate. */
import { last } from './older.js';

const MAX_INTERVALS = 5000; // per clip in one report
const MAX_EVENTS = 2000;
const SAME_MOMENT_MS = 30;

/** Sorted, disjoint intervals covering the same milliseconds. */
function union(intervals) {
  const covered = [];
  for (const [start, end] of [...intervals].sort((x, y) => x[0] - y[0])) {
    const before = last(covered);
    if (before && start <= before[1]) before[1] = Math.max(before[1], end);
    else covered.push([start, end]);
  }
  return covered;
}

const length = ([start, end]) => end - start;
const total = (intervals) => intervals.reduce((sum, interval) => sum + length(interval), 0);

/** Fewer intervals: the older half is replaced by its union, so that repeats count once; if that is not enough, its
    shortest intervals are dropped. Nothing is added that was not heard. */
function fold(intervals) {
  const half = MAX_INTERVALS / 2;
  const older = union(intervals.slice(0, -half)).sort((x, y) => length(y) - length(x)).slice(0, half - 1);
  return [...older, ...intervals.slice(-half)];
}

export class Listening {
  constructor(gateMs) {
    this.gateMs = gateMs;
    this.began = performance.now();
    this.events = [];
    this.reset();
  }

  /** Forget what was heard: the server did not accept it. */
  reset() {
    this.closed = { A: [], B: [] };
    this.open = null; // {slot, start}
    this.latest = null; // {slot, at} of the interval closed last
    this.firstPlayed = null;
    this.switches = 0;
  }

  /** Record an event: {t, kind, value?}, t in ms since the battle appeared. The last place is kept free
      for what the others lead to: `decided`. A pause that the listener did not cause says why: end, interrupted, vote. */
  note(kind, value) {
    const event = { t: Math.round(performance.now() - this.began), kind, ...(value === undefined ? {} : { value }) };
    if (this.events.length < MAX_EVENTS - 1) this.events.push(event);
    else if (kind === 'decided') this.events[MAX_EVENTS - 1] = event;
  }

  audible(slot, seconds) {
    this.firstPlayed ??= slot;
    const start = Math.round(seconds * 1000);
    const before = last(this.closed[slot]);
    const goesOn = this.latest?.slot === slot && before?.[1] === start && performance.now() - this.latest.at < SAME_MOMENT_MS;
    this.open = { slot, start: goesOn ? this.closed[slot].pop()[0] : start };
  }

  silent(seconds) {
    if (!this.open) return;
    const { slot, start } = this.open;
    const end = Math.round(seconds * 1000);
    if (end > start) {
      this.closed[slot].push([start, end]);
      this.latest = { slot, at: performance.now() };
    }
    if (this.closed[slot].length >= MAX_INTERVALS) this.closed[slot] = fold(this.closed[slot]);
    this.open = null;
  }

  /** {A: [[start, end], ...], B: [...]}, including what sounds now, at `seconds`: the player's position, read just now. */
  heard(seconds) {
    const all = { A: [...this.closed.A], B: [...this.closed.B] };
    const end = Math.round(seconds * 1000);
    if (this.open && end > this.open.start) all[this.open.slot].push([this.open.start, end]);
    return all;
  }

  /** Milliseconds still to be heard of each clip before the answers open. */
  missing(seconds) {
    const heard = this.heard(seconds);
    return {
      A: Math.max(0, this.gateMs - total(union(heard.A))),
      B: Math.max(0, this.gateMs - total(union(heard.B))),
    };
  }
}
