/** Both clips drawn one above the other; what has been heard is filled in. Also where to seek. */
import { Bars, heardBars } from './bars.js';

export const LABEL = 26; // CSS pixels for the letter at the left
const SLOTS = ['A', 'B'];
const STEP_S = 5;
const SCRUB_PX = 6; // a finger that has moved this far sideways is scrubbing
const BRACKET = 7; // CSS pixels, the arms of a loop's brackets

export class Waveform {
  #colours = null;
  #bars = null; // {A, B} and what they were painted for
  #size = null; // in device pixels, exactly, where the browser says so
  #touch = null; // {x} of a finger that may yet be scrolling

  /** `onSeek(seconds, {began})`: `began` is true for the first of a drag, and for a click or a key. */
  constructor(canvas, onSeek) {
    this.canvas = canvas;
    this.onSeek = onSeek;
    this.state = null;
    canvas.style.touchAction = 'pan-y pinch-zoom'; // sideways is ours, down the page is the browser's
    this.#watch();
    this.#listen();
  }

  /** Colours may have changed: read them again. */
  refresh() {
    this.#colours = null;
    this.#bars = null;
    this.draw();
  }

  #watch() {
    const refresh = () => this.refresh();
    const sizes = new ResizeObserver(([entry]) => {
      this.#size = entry.devicePixelContentBoxSize?.[0] ?? null;
      this.draw();
    });
    try {
      sizes.observe(this.canvas, { box: 'device-pixel-content-box' });
    } catch { // Safari
      sizes.observe(this.canvas);
    }
    new MutationObserver(refresh).observe(document.documentElement, { attributeFilter: ['class', 'data-theme', 'style'] });
    for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)', '(prefers-contrast: more)']) {
      matchMedia(query).addEventListener('change', refresh);
    }
  }

  // ---- pointer and keys ----

  #listen() {
    const { canvas } = this;
    canvas.addEventListener('pointerdown', (event) => {
      if (!event.isPrimary || event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.#touch = event.pointerType === 'touch' ? { x: event.clientX } : null;
      if (!this.#touch) this.#seekTo(event, true);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      const first = this.#touch !== null;
      if (first && Math.abs(event.clientX - this.#touch.x) < SCRUB_PX) return;
      this.#touch = null;
      this.#seekTo(event, first);
    });
    canvas.addEventListener('pointerup', (event) => {
      if (this.#touch && canvas.hasPointerCapture(event.pointerId)) this.#seekTo(event, true); // a tap
      this.#touch = null;
    });
    canvas.addEventListener('pointercancel', () => { this.#touch = null; }); // the finger scrolls the page
    canvas.addEventListener('keydown', (event) => this.#key(event));
  }

  #seekTo({ clientX }, began) {
    if (!this.state) return;
    const box = this.canvas.getBoundingClientRect();
    const share = (clientX - box.left - LABEL) / (box.width - LABEL);
    this.onSeek(Math.min(1, Math.max(0, share)) * this.state.duration, { began });
  }

  /** The keys of a focused slider: they work with shortcuts off, too. */
  #key(event) {
    if (!this.state || event.ctrlKey || event.metaKey || event.altKey) return;
    const { position, duration } = this.state;
    const target = {
      ArrowLeft: position - STEP_S,
      ArrowDown: position - STEP_S,
      ArrowRight: position + STEP_S,
      ArrowUp: position + STEP_S,
      PageDown: position - 2 * STEP_S,
      PageUp: position + 2 * STEP_S,
      Home: 0,
      End: duration,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    this.onSeek(Math.min(duration, Math.max(0, target)), { began: !event.repeat });
  }

  // ---- drawing ----

  /** `state`: {peaks: {A, B}, heard: {A, B} in ms, slot, position, duration, loop?: {start, end} or null,
      positions?: {A, B}}, the rest in seconds. With `positions` each clip has a playhead of its own. */
  draw(state = this.state) {
    this.state = state;
    const { canvas } = this;
    const scale = devicePixelRatio || 1;
    const width = devicePixels(canvas.clientWidth * scale, this.#size?.inlineSize);
    const height = devicePixels(canvas.clientHeight * scale, this.#size?.blockSize);
    const left = Math.round(LABEL * scale);
    if (!state || width <= left || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.#colours ??= colours(canvas);
    const view = { left, width: width - left, lane: Math.floor(height / 2), scale, colours: this.#colours };
    this.#prepare(state.peaks, view);
    const paint = canvas.getContext('2d');
    paint.clearRect(0, 0, width, height);
    SLOTS.forEach((slot, row) => this.#lane(paint, state, slot, row * view.lane, view));
    if (state.loop) drawLoop(paint, state, view);
    drawPlayheads(paint, state, view);
  }

  /** Both clips' bars, unless they exist already. */
  #prepare(peaks, view) {
    const { width, lane: height, scale } = view;
    const is = this.#bars;
    if (is && is.peaks === peaks && is.width === width && is.height === height && is.scale === scale) return;
    let loudest = 0.01;
    for (const slot of SLOTS) for (const peak of peaks[slot]) loudest = Math.max(loudest, peak);
    this.#bars = { peaks, width, height, scale };
    for (const slot of SLOTS) {
      const style = { colour: view.colours[slot], rest: view.colours.rest };
      this.#bars[slot] = new Bars(peaks[slot], loudest, { width, height, scale, ...style });
    }
  }

  #lane(paint, { heard, slot: current, duration }, slot, top, view) {
    const active = slot === current;
    const { left, lane, scale, colours: { [slot]: colour, font, faint } } = view;
    paint.fillStyle = colour;
    paint.font = `${active ? 700 : 400} ${15 * scale}px ${font}`;
    paint.textAlign = 'center';
    paint.textBaseline = 'middle';
    paint.fillText(slot, left / 2, top + lane / 2);
    if (active) paint.fillRect(0, top + Math.round(lane / 4), Math.round(3 * scale), Math.round(lane / 2));
    const bars = this.#bars[slot];
    paint.globalAlpha = active ? 1 : faint;
    bars.draw(paint, left, top, heardBars(heard[slot], duration * 1000, bars.count));
    paint.globalAlpha = 1;
  }
}

/** The size the browser has measured, if it matches the zoom but for rounding: an emulated zoom is not included. */
function devicePixels(expected, measured = expected) {
  return Math.abs(measured - expected) < 2 ? Math.round(measured) : Math.round(expected);
}

/** The colours of the page, read once; where the system prescribes colours, its own. */
function colours(canvas) {
  const { fontFamily: font } = getComputedStyle(document.body);
  if (matchMedia('(forced-colors: active)').matches) {
    return { A: 'CanvasText', B: 'CanvasText', rest: 'GrayText', ink: 'Highlight', paper: 'Canvas', font, faint: 1 };
  }
  const style = getComputedStyle(canvas);
  const named = ['--a', '--b', '--edge', '--ink', '--paper'].map((name) => style.getPropertyValue(name).trim());
  const [A, B, rest, ink, paper] = named;
  return { A, B, rest, ink, paper, font, faint: 0.55 };
}

/** Brackets around the loop, and a veil over what is outside. */
function drawLoop(paint, { loop, duration }, { left, width, lane, scale, colours: { ink, paper } }) {
  const height = 2 * lane;
  const thick = Math.max(1, Math.round(2 * scale));
  const arm = Math.round(BRACKET * scale);
  const [from, to] = [loop.start, loop.end].map((seconds) => left + Math.round((seconds / duration) * width));
  paint.fillStyle = paper;
  paint.globalAlpha = 0.6;
  paint.fillRect(left, 0, from - left, height);
  paint.fillRect(to, 0, left + width - to, height);
  paint.globalAlpha = 1;
  paint.fillStyle = ink;
  for (const [line, arms] of [[from, from], [to - thick, to - arm]]) {
    paint.fillRect(line, 0, thick, height);
    paint.fillRect(arms, 0, arm, thick);
    paint.fillRect(arms, height - thick, arm, thick);
  }
}

/** One line through both clips, or one in each: broad in the clip that is current. */
function drawPlayheads(paint, { position, positions, slot, duration }, { left, width, lane, scale, colours: { ink } }) {
  const edge = Math.round(4 * scale);
  const line = (seconds, from, to, thickness) => {
    const thick = Math.max(1, Math.round(thickness * scale));
    const x = left + Math.round((seconds / duration) * width - thick / 2);
    paint.fillRect(Math.min(left + width - thick, Math.max(left, x)), from, thick, to - from);
  };
  paint.fillStyle = ink;
  if (!positions) line(position, edge, 2 * lane - edge, 2);
  else {
    SLOTS.forEach((each, row) => {
      line(positions[each], row * lane + edge, (row + 1) * lane - edge, each === slot ? 2 : 1);
    });
  }
}
