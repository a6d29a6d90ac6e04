/** One clip's peaks as a row of bars, painted once per size and palette in two versions: heard (broad, in the clip's
    colour) and unheard (thin). A frame only copies pieces of them. All sizes are whole device pixels, so edges are
    crisp at any zoom. */
import { last } from './older.js';

const PITCH = 3; // CSS pixels from bar to bar
const HEARD = 2; // CSS pixels wide
const UNHEARD = 1;
const FREE = 6; // CSS pixels above and below the loudest bar

/** The loudest peak of each bar's share of the clip, 0 to 1 of `loudest`. */
function heights(peaks, bars, loudest) {
  return Float32Array.from({ length: bars }, (_, bar) => {
    const from = Math.floor((bar / bars) * peaks.length);
    const to = Math.max(from + 1, Math.floor(((bar + 1) / bars) * peaks.length));
    let most = 0;
    for (let i = from; i < to && i < peaks.length; i += 1) most = Math.max(most, peaks[i]);
    return most / loudest;
  });
}

/** Sorted [from, to] without overlaps, in whole bars, of intervals in ms. */
export function heardBars(intervals, durationMs, bars) {
  const spans = [];
  for (const [start, end] of [...intervals].sort((x, y) => x[0] - y[0])) {
    const before = last(spans);
    if (before && start <= before[1]) before[1] = Math.max(before[1], end);
    else spans.push([start, end]);
  }
  const bar = (ms) => Math.min(bars, Math.round((ms / durationMs) * bars));
  return spans.map(([start, end]) => [bar(start), bar(end)]).filter(([from, to]) => to > from);
}

export class Bars {
  /** `width`, `height` in device pixels, `scale` of these per CSS pixel; `loudest`: the peak that fills the height. */
  constructor(peaks, loudest, { width, height, scale, colour, rest }) {
    this.pitch = Math.max(2, Math.round(PITCH * scale));
    this.count = Math.max(1, Math.floor(width / this.pitch));
    this.height = height;
    const sizes = heights(peaks, this.count, loudest);
    this.heard = this.#painted(sizes, scale, HEARD, colour);
    this.unheard = this.#painted(sizes, scale, UNHEARD, rest);
  }

  #painted(sizes, scale, thickness, colour) {
    const canvas = Object.assign(document.createElement('canvas'), { width: this.count * this.pitch, height: this.height });
    const paint = canvas.getContext('2d');
    paint.fillStyle = colour;
    const thick = Math.max(1, Math.min(this.pitch - 1, Math.round(thickness * scale)));
    const middle = Math.round(this.height / 2);
    sizes.forEach((size, bar) => {
      const half = Math.max(1, Math.round(size * (this.height / 2 - FREE * scale)));
      paint.fillRect(bar * this.pitch, middle - half, thick, half * 2);
    });
    return canvas;
  }

  /** Paint the clip at (x, y), `spans` of it (in bars) as heard. */
  draw(paint, x, y, spans) {
    paint.drawImage(this.unheard, x, y);
    for (const [from, to] of spans) {
      const [left, wide] = [from * this.pitch, (to - from) * this.pitch];
      paint.clearRect(x + left, y, wide, this.height);
      paint.drawImage(this.heard, left, 0, wide, this.height, x + left, y, wide, this.height);
    }
  }
}
