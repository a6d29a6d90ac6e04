/** The loop on the page: a button and a handle at each end. The player takes care of the sound. */
import { gettext, interpolate } from './i18n.js';
import { MIN_LOOP_S } from './looping.js';
import { LABEL } from './waveform.js';
import { clock } from './words.js';

const $ = (id) => document.getElementById(id);
const LENGTH_S = 5;
const STEP_S = 0.5;
const HANDLE = 44;
const SLACK = 12; // how far a handle may stand out of the waveform

/** {start, end}: 5 s from `position`, or the last 5 s where less is left than the shortest loop. */
function fromHere(position, duration) {
  const start = duration - position < MIN_LOOP_S ? Math.max(0, duration - LENGTH_S) : position;
  return { start, end: Math.min(duration, start + LENGTH_S) };
}

/** `loop` with one end moved to `seconds`, as far as the other end and the clip let it. */
function moved({ start, end }, edge, seconds, duration) {
  if (edge === 'start') return { start: Math.max(0, Math.min(seconds, end - MIN_LOOP_S)), end };
  return { start, end: Math.min(duration, Math.max(seconds, start + MIN_LOOP_S)) };
}

export class LoopControl {
  /** `onLoop(null | {start, end})` when the listener wants another loop. */
  constructor(onLoop) {
    this.onLoop = onLoop;
    this.loop = null;
    this.duration = 0;
    this.handles = { start: $('loop-start'), end: $('loop-end') };
    for (const [edge, handle] of Object.entries(this.handles)) this.#bind(edge, handle);
    new ResizeObserver(() => this.draw()).observe($('wave'));
  }

  /** No loop, or a new one at the playhead. */
  toggle(position) {
    this.#set(this.loop ? null : fromHere(position, this.duration));
  }

  reset(duration) {
    this.duration = duration;
    this.loop = null;
    this.draw();
  }

  #set(loop) {
    this.loop = loop;
    this.draw();
    this.onLoop(loop);
  }

  #move(edge, seconds) {
    const loop = moved(this.loop, edge, seconds, this.duration);
    if (loop.start !== this.loop.start || loop.end !== this.loop.end) this.#set(loop);
  }

  #bind(edge, handle) {
    handle.addEventListener('pointerdown', (event) => {
      if (event.isPrimary) handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener('pointermove', (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const { left, width } = $('wave').getBoundingClientRect();
      this.#move(edge, ((event.clientX - left - LABEL) / (width - LABEL)) * this.duration);
    });
    handle.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const to = {
        ArrowLeft: this.loop[edge] - STEP_S,
        ArrowDown: this.loop[edge] - STEP_S,
        ArrowRight: this.loop[edge] + STEP_S,
        ArrowUp: this.loop[edge] + STEP_S,
        Home: 0,
        End: this.duration,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.#move(edge, to);
    });
  }

  draw() {
    const { loop, duration } = this;
    $('loop').setAttribute('aria-pressed', String(loop !== null));
    for (const [edge, handle] of Object.entries(this.handles)) {
      if (!loop && handle === document.activeElement) $('loop').focus();
      handle.hidden = !loop;
      if (!loop) continue;
      const [low, high] = edge === 'start' ? [0, loop.end - MIN_LOOP_S] : [loop.start + MIN_LOOP_S, duration];
      handle.setAttribute('aria-valuemin', low.toFixed(1));
      handle.setAttribute('aria-valuemax', high.toFixed(1));
      handle.setAttribute('aria-valuenow', loop[edge].toFixed(1));
      handle.setAttribute('aria-valuetext', interpolate(gettext('%(seconds)s seconds'), { seconds: loop[edge].toFixed(1) }));
      this.#place(edge, handle);
    }
    $('loop').title = loop ? `${clock(loop.start)} – ${clock(loop.end)}` : '';
  }

  /** A handle stands outside its end of the loop; near the border of the page it moves in, its line stays. */
  #place(edge, handle) {
    const width = $('wave').clientWidth;
    const line = LABEL + (this.loop[edge] / this.duration) * (width - LABEL);
    const wanted = edge === 'start' ? line - HANDLE : line;
    const left = Math.min(width + SLACK - HANDLE, Math.max(-SLACK, wanted));
    handle.style.left = `${left}px`;
    handle.style.setProperty('--line', `${line - left}px`);
  }
}
