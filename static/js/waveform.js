/** Both clips drawn one above the other from their peaks; what has been heard is filled in. Also where to seek. */

const BAR = 3; // CSS pixels per bar, one of them gap
const LABEL = 26; // room for the letter at the left

export class Waveform {
  constructor(canvas, onSeek) {
    this.canvas = canvas;
    this.onSeek = onSeek;
    this.state = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#seek(event);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) this.#seek(event);
    });
  }

  #seek(event) {
    if (!this.state) return;
    const box = this.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - LABEL) / (box.width - LABEL);
    this.onSeek(Math.min(1, Math.max(0, share)) * this.state.duration);
  }

  /** `state`: {peaks: {A, B}, heard: {A, B} in ms, slot, position and duration in seconds}. */
  draw(state = this.state) {
    this.state = state;
    const { canvas } = this;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!state || !width) return;
    const scale = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const paint = canvas.getContext('2d');
    paint.setTransform(scale, 0, 0, scale, 0, 0);
    paint.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const loudest = Math.max(0.01, ...state.peaks.A, ...state.peaks.B);
    const lane = height / 2;
    ['A', 'B'].forEach((slot, row) => {
      const own = colour(slot === 'A' ? '--a' : '--b');
      const active = slot === state.slot;
      this.#lane(paint, state, slot, { top: row * lane, lane, width, loudest, own, rest: colour('--edge'), active });
    });
    const x = LABEL + (state.position / state.duration) * (width - LABEL);
    paint.globalAlpha = 1;
    paint.fillStyle = colour('--ink');
    paint.fillRect(Math.min(width - 2, Math.max(0, x - 1)), 4, 2, height - 8);
  }

  #lane(paint, { peaks, heard, duration }, slot, { top, lane, width, loudest, own, rest, active }) {
    const middle = top + lane / 2;
    paint.globalAlpha = 1;
    paint.fillStyle = own;
    paint.font = `${active ? 700 : 400} 15px ${getComputedStyle(document.body).fontFamily}`;
    paint.textAlign = 'center';
    paint.textBaseline = 'middle';
    paint.fillText(slot, LABEL / 2, middle);
    const bars = Math.floor((width - LABEL) / BAR);
    const values = peaks[slot];
    for (let bar = 0; bar < bars; bar += 1) {
      const from = Math.floor((bar / bars) * values.length);
      const to = Math.max(from + 1, Math.floor(((bar + 1) / bars) * values.length));
      const size = Math.max(1, (Math.max(...values.slice(from, to)) / loudest) * (lane / 2 - 6));
      const ms = ((bar + 0.5) / bars) * duration * 1000;
      const filled = heard[slot].some(([start, end]) => start <= ms && ms < end);
      paint.fillStyle = filled ? own : rest;
      paint.globalAlpha = (filled ? 1 : 0.7) * (active ? 1 : 0.55);
      paint.fillRect(LABEL + bar * BAR, middle - size, BAR - 1, size * 2);
    }
  }
}
