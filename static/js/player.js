/** Two clips for one listener: play, switch, seek and loop without a gap and without a click.

    Whatever changes where the sound comes from is a splice: at one moment of the audio clock, a little ahead, the old
    voice begins to fall and the new one to rise. In `sync` the voices of both clips start together and a switch only
    crossfades between them; in `restart` and `resume` the other clip's voice starts with the switch. No timers: what
    is heard follows from the audio clock, however late anyone asks. Takes any BaseAudioContext. */
import { CROSSFADE_S, EDGE_S, EQUAL_GAIN, EQUAL_POWER } from './fades.js';
import { region } from './looping.js';
import { Voice } from './voice.js';

export const MODES = ['sync', 'restart', 'resume'];
const SLOTS = ['A', 'B'];
const AHEAD_S = 0.01; // what is scheduled reaches the audio thread in time
const VOLUME_S = 0.02;

export class Player {
  #loop = null;
  #volume = 1;
  #alive = new Set(); // voices that may still sound

  /** `buffers`: {A, B}; `duration` of both in seconds. `mode`, what a switch does: `sync` goes on at the same place,
      `restart` from the start (or the loop's), `resume` where that clip was left.
      `listener` has audible(slot, seconds), silent(seconds), changed(), and ended() if it likes. */
  constructor(context, buffers, duration, listener, { mode = 'sync' } = {}) {
    if (!MODES.includes(mode)) throw new RangeError(`There is no switching mode ${mode}; there are ${MODES.join(', ')}.`);
    Object.assign(this, { context, buffers, duration, listener, mode, slot: 'A' });
    this.rests = { A: 0, B: 0 }; // playheads of clips that are not playing
    this.voices = []; // one per clip in `sync`, else that of the current clip; none while paused
    this.out = new GainNode(context);
    this.out.connect(context.destination);
  }

  get playing() {
    return this.voices.length > 0;
  }

  /** Position in the current clip, in seconds, wrapped in a loop. Reading it reports every wrap up to now. */
  get position() {
    return this.playing ? this.#tell(this.context.currentTime) : this.rests[this.slot];
  }

  /** {A, B}: both playheads, or where each would begin. */
  get positions() {
    const { position, slot } = this;
    const other = slot === 'A' ? 'B' : 'A';
    return { [slot]: position, [other]: this.mode === 'sync' ? position : this.#comingFrom(other) };
  }

  // ---- what a listener does ----

  play() {
    if (this.playing || !this.#playable) return;
    const offset = this.#beginning(this.rests[this.slot]);
    this.#start(offset, this.#soon(), { curve: EQUAL_POWER, seconds: EDGE_S });
    this.listener.audible(this.slot, offset);
    this.listener.changed();
  }

  pause() {
    if (!this.playing) return;
    const { at } = this.#leave(EQUAL_POWER, EDGE_S);
    this.#rest(this.#tell(at));
    this.#silence();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** Move the playhead (in `resume` that of the current clip). While playing, beyond a loop is its start. */
  seek(seconds) {
    const target = Math.min(this.duration, Math.max(0, seconds));
    if (this.playing && (this.#loop || target < this.duration)) {
      this.#splice(this.slot, () => this.#withinLoop(target));
    } else {
      this.pause();
      this.#rest(target);
    }
    this.listener.changed();
  }

  switchTo(slot) {
    if (!SLOTS.includes(slot)) throw new RangeError(`There is no clip ${slot}; there are A and B.`);
    if (slot === this.slot) return;
    if (!this.playing) {
      this.rests[slot] = this.#comingFrom(slot);
      this.slot = slot;
    } else if (this.mode === 'sync') {
      this.#crossfade(slot);
    } else {
      this.#splice(slot, () => this.#beginning(this.#comingFrom(slot)));
    }
    this.listener.changed();
  }

  /** null, or {start, end} in seconds, at least half a second. A playhead before the loop plays into it, one within
      it goes on, one beyond it jumps to its start. */
  get loop() {
    return this.#loop;
  }

  set loop(loop) {
    const length = Math.min(this.duration, ...Object.values(this.buffers ?? {}).map((buffer) => buffer.duration));
    this.#loop = loop ? region(loop, length, this.context.sampleRate) : null;
    if (this.playing) this.#splice(this.slot, (position) => this.#withinLoop(position));
    this.listener.changed();
  }

  /** 0 to 1, a factor on the amplitude. */
  get volume() {
    return this.#volume;
  }

  set volume(volume) {
    if (!Number.isFinite(volume)) throw new RangeError(`The volume is a number from 0 to 1, not ${volume}.`);
    this.#volume = Math.min(1, Math.max(0, volume));
    this.out.gain.setTargetAtTime(this.#volume, this.context.currentTime, VOLUME_S / 4);
  }

  /** Stop, and release the audio graph and the decoded clips. Afterwards the player does nothing. */
  disconnect() {
    this.pause();
    this.buffers = null;
    if (!this.#alive.size) this.out.disconnect();
  }

  // ---- places ----

  #withinLoop(position) {
    return this.#loop && position >= this.#loop.end ? this.#loop.start : position;
  }

  /** Where playing begins again after it stopped at `rest`: after the end, at the start. */
  #beginning(rest) {
    return rest >= this.duration && !this.#loop ? 0 : this.#withinLoop(rest);
  }

  /** Where the playhead is after a switch to `slot`, which is not the current one. */
  #comingFrom(slot) {
    if (this.mode === 'restart') return this.#loop?.start ?? 0;
    return this.rests[this.mode === 'sync' ? this.slot : slot];
  }

  #rest(position) {
    if (this.mode === 'sync') this.rests = { A: position, B: position };
    else this.rests[this.slot] = position;
  }

  // ---- voices ----

  /** Clips may be released to make room for another battle's: silence must never be reported as heard. */
  get #playable() {
    return SLOTS.every((slot) => this.buffers?.[slot]);
  }

  get #voice() {
    return this.voices.find(({ slot }) => slot === this.slot);
  }

  /** The next moment that can still be scheduled, on a whole sample. */
  #soon() {
    const { currentTime, sampleRate, baseLatency = 0 } = this.context;
    return Math.ceil((currentTime + Math.max(AHEAD_S, baseLatency)) * sampleRate) / sampleRate;
  }

  /** Voices at `offset` of their clips, that of the current clip rising. */
  #start(offset, startsAt, entrance) {
    const { duration, context: { sampleRate } } = this;
    const place = { startsAt, offset: Math.round(offset * sampleRate) / sampleRate, duration, loop: this.#loop };
    this.voices = (this.mode === 'sync' ? SLOTS : [this.slot]).map((slot) => {
      const voice = new Voice(this.context, this.out, { slot, buffer: this.buffers[slot], ...place });
      this.#alive.add(voice);
      voice.onEnded = () => this.#over(voice);
      return voice;
    });
    this.#voice.fade(entrance.curve.rise, startsAt, entrance.seconds);
    this.entrance = entrance;
  }

  /** Release the voices: {at, entrance}, when they begin to fall. Voices that have not begun yet never will; what
      takes their place enters at their time and in their way, so seeking many times a second makes no queue. */
  #leave(curve, seconds) {
    const voice = this.#voice;
    const soon = this.#soon();
    const begun = voice.startsAt < soon;
    const at = begun ? Math.max(soon, voice.settled) : voice.startsAt;
    if (begun) voice.fade(curve.fall, at, seconds);
    for (const each of this.voices) each.stop(begun ? at + seconds : 0);
    return { at, entrance: begun ? { curve, seconds } : this.entrance };
  }

  /** Jump from here to `place(position)` in `slot`. */
  #splice(slot, place) {
    if (!this.#playable) {
      this.pause();
      this.slot = slot;
      return;
    }
    const before = this.position;
    const goesOn = slot === this.slot && place(before) === before;
    const { at, entrance } = this.#leave(goesOn ? EQUAL_GAIN : EQUAL_POWER, CROSSFADE_S);
    const position = this.#tell(at);
    const offset = place(position);
    this.#rest(position);
    this.listener.silent(position);
    this.slot = slot;
    this.#start(offset, at, entrance);
    this.listener.audible(slot, offset);
  }

  /** In `sync`: both voices are running. */
  #crossfade(slot) {
    const from = this.#voice;
    const to = this.voices.find((voice) => voice.slot === slot);
    const at = Math.max(this.#soon(), from.settled);
    from.fade(EQUAL_POWER.fall, at, CROSSFADE_S);
    to.fade(EQUAL_POWER.rise, at, CROSSFADE_S);
    const position = this.#tell(at);
    to.wraps = from.wraps;
    this.listener.silent(position);
    this.slot = slot;
    this.listener.audible(slot, position);
  }

  /** Report the wraps up to `time` of the audio clock; returns the position then. */
  #tell(time) {
    const voice = this.#voice;
    const { position, passes } = voice.at(time);
    for (; voice.wraps < passes; voice.wraps += 1) {
      this.listener.silent(voice.loop.end);
      this.listener.audible(this.slot, voice.loop.start);
    }
    return position;
  }

  #silence() {
    this.voices = [];
    this.listener.silent(this.rests[this.slot]);
    this.listener.changed();
  }

  /** A voice has gone silent: after its fall, or because its clip is over. */
  #over(voice) {
    this.#alive.delete(voice);
    if (this.voices.includes(voice)) {
      this.listener.ended?.();
      this.#rest(this.duration);
      this.#silence();
    }
    if (!this.buffers && !this.#alive.size) this.out.disconnect();
  }
}
