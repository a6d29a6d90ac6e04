/** What was heard of two clips, in whole milliseconds of clip time: the same sums as the server makes.

    An interval opens when a clip becomes audible and closes when it stops being so; repeats stay separate. */

function union(intervals) {
  let covered = 0;
  let reached = 0;
  for (const [start, end] of [...intervals].sort((x, y) => x[0] - y[0])) {
    covered += Math.max(0, end - Math.max(start, reached));
    reached = Math.max(reached, end);
  }
  return covered;
}

const MAX_EVENTS = 2000;

export class Listening {
  constructor(gateMs) {
    this.gateMs = gateMs;
    this.began = performance.now();
    this.events = [];
    this.reset();
  }

  /** Forget what was heard: the server did not believe it. */
  reset() {
    this.closed = { A: [], B: [] };
    this.open = null; // {slot, start}
    this.firstPlayed = null;
    this.switches = 0;
  }

  note(kind) {
    if (this.events.length < MAX_EVENTS) this.events.push({ t: Math.round(performance.now() - this.began), kind });
  }

  audible(slot, seconds) {
    this.firstPlayed ??= slot;
    this.open = { slot, start: Math.round(seconds * 1000) };
  }

  silent(seconds) {
    if (!this.open) return;
    const { slot, start } = this.open;
    const end = Math.round(seconds * 1000);
    if (end > start) this.closed[slot].push([start, end]);
    this.open = null;
  }

  /** {A: [[start, end], ...], B: [...]}, including what sounds now, at `seconds`. */
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
      A: Math.max(0, this.gateMs - union(heard.A)),
      B: Math.max(0, this.gateMs - union(heard.B)),
    };
  }
}
