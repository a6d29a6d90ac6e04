/** Two clips, one playhead: both sources start together and run in step; a switch is an equal-power crossfade.

    The mix is one angle: A sounds at cos(angle), B at sin(angle). A new fade starts from the angle the last one has
    reached, so that however fast someone switches, no gain ever jumps. Takes any BaseAudioContext. */

const CROSSFADE_S = 0.015;
const EDGE_S = 0.008; // fade at play, pause and seek, against clicks
const HEADROOM_S = 0.01; // both sources are scheduled this far ahead, so that neither starts late
const ANGLE = { A: 0, B: Math.PI / 2 };
const GAIN = { A: Math.cos, B: Math.sin };

export class Player {
  /** `listener` has audible(slot, seconds), silent(seconds), changed(). */
  constructor(context, buffers, duration, listener) {
    Object.assign(this, { context, buffers, duration, listener, slot: 'A' });
    this.rest = 0; // position while nothing plays, in seconds
    this.voice = null;
    this.fade = { from: 0, to: 0, at: 0 };
  }

  get playing() {
    return this.voice !== null;
  }

  get position() {
    if (!this.voice) return this.rest;
    const passed = Math.max(0, this.context.currentTime - this.voice.startsAt);
    return Math.min(this.duration, this.voice.offset + passed);
  }

  play() {
    if (this.playing) return;
    this.#start(this.rest >= this.duration ? 0 : this.rest);
    this.listener.changed();
  }

  pause() {
    if (!this.playing) return;
    this.rest = this.#stop();
    this.listener.changed();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  seek(seconds) {
    const target = Math.min(this.duration, Math.max(0, seconds));
    if (this.playing) {
      this.#stop();
      this.rest = target;
      if (target < this.duration) this.#start(target);
    } else {
      this.rest = target;
    }
    this.listener.changed();
  }

  switchTo(slot) {
    if (slot === this.slot) return;
    this.slot = slot;
    if (this.voice) {
      const { position } = this;
      this.listener.silent(position);
      this.#crossfade(ANGLE[slot]);
      this.listener.audible(slot, position);
    }
    this.listener.changed();
  }

  #start(offset) {
    const startsAt = this.context.currentTime + HEADROOM_S;
    const out = new GainNode(this.context, { gain: 0 });
    out.gain.setValueAtTime(0, startsAt);
    out.gain.linearRampToValueAtTime(1, startsAt + EDGE_S);
    const endsAt = startsAt + this.duration - offset; // MP3 decodes late: its own fade-out lies beyond the end
    if (endsAt > startsAt + 2 * EDGE_S) {
      out.gain.setValueAtTime(1, endsAt - EDGE_S);
      out.gain.linearRampToValueAtTime(0, endsAt);
    }
    out.connect(this.context.destination);

    const angle = ANGLE[this.slot];
    const gains = {};
    const sources = Object.entries(this.buffers).map(([slot, buffer]) => {
      gains[slot] = new GainNode(this.context, { gain: GAIN[slot](angle) });
      const source = new AudioBufferSourceNode(this.context, { buffer });
      source.connect(gains[slot]).connect(out);
      source.start(startsAt, offset, this.duration - offset);
      return source;
    });
    this.fade = { from: angle, to: angle, at: startsAt };
    const voice = { startsAt, offset, out, gains, sources };
    this.voice = voice;
    sources[0].onended = () => {
      if (this.voice === voice) this.#ended();
    };
    this.listener.audible(this.slot, offset);
  }

  /** Fade the voice out and let it go; returns where it was. */
  #stop() {
    const { position, voice } = this;
    const now = this.context.currentTime;
    voice.out.gain.cancelScheduledValues(now);
    voice.out.gain.setTargetAtTime(0, now, EDGE_S / 3);
    for (const source of voice.sources) source.stop(now + 2 * EDGE_S);
    this.voice = null;
    this.listener.silent(position);
    return position;
  }

  #ended() {
    this.voice = null;
    this.rest = this.duration;
    this.listener.silent(this.duration);
    this.listener.changed();
  }

  #crossfade(to) {
    const now = Math.max(this.context.currentTime, this.voice.startsAt);
    const done = Math.min(1, Math.max(0, (now - this.fade.at) / CROSSFADE_S));
    const from = this.fade.from + (this.fade.to - this.fade.from) * done;
    this.fade = { from, to, at: now };
    for (const [slot, { gain }] of Object.entries(this.voice.gains)) {
      const curve = Float32Array.from({ length: 33 }, (_, i) => GAIN[slot](from + ((to - from) * i) / 32));
      gain.cancelScheduledValues(now);
      gain.setValueCurveAtTime(curve, now, CROSSFADE_S);
    }
  }
}
