/** One clip playing from one position. Everything it does is scheduled on the audio clock. */
import { EDGE_S } from './fades.js';
import { dips, wrap } from './looping.js';

export class Voice {
  /** Silent until its first fade. `startsAt`: audio clock; `offset`, `duration`, `loop`: clip time; all in seconds. */
  constructor(context, destination, { slot, buffer, startsAt, offset, duration, loop }) {
    Object.assign(this, { slot, startsAt, offset, duration, loop });
    this.settled = startsAt; // when the last fade is over
    this.wraps = 0; // how many of them have been reported
    this.level = new GainNode(context, { gain: 0 });
    this.seam = new GainNode(context);
    this.source = new AudioBufferSourceNode(context, {
      buffer, loop: loop !== null, loopStart: loop?.start, loopEnd: loop?.end,
    });
    this.source.connect(this.seam).connect(this.level).connect(destination);
    if (loop) this.#repeat(context);
    else this.#end();
    this.source.onended = () => {
      this.level.disconnect();
      this.onEnded();
    };
  }

  #repeat(context) {
    const { loop, offset, startsAt } = this;
    this.dip = new AudioBufferSourceNode(context, { buffer: dips(loop, context.sampleRate), loop: true });
    this.dip.connect(this.seam.gain);
    // The first time round it is not the loop's start that is heard before, so there is nothing to hide.
    const from = Math.max(offset, loop.start + EDGE_S);
    this.dip.start(startsAt + from - offset, from - loop.start);
    this.source.start(startsAt, offset);
  }

  #end() {
    const { gain } = this.seam;
    const endsAt = this.startsAt + this.duration - this.offset; // MP3 decodes late: its own fade-out lies beyond the end
    if (endsAt > this.startsAt + 2 * EDGE_S) {
      gain.setValueAtTime(1, endsAt - EDGE_S);
      gain.linearRampToValueAtTime(0, endsAt);
    }
    this.source.start(this.startsAt, this.offset, this.duration - this.offset);
  }

  /** Where in the clip it is at that time of the audio clock, and how often it has wrapped until then. */
  at(time) {
    const { position, passes } = wrap(this.loop, this.offset + Math.max(0, time - this.startsAt));
    return { position: Math.min(this.duration, position), passes };
  }

  /** Must begin when the last one is settled, or later: a fade is never broken off, so no gain ever jumps. */
  fade(curve, at, seconds) {
    this.level.gain.setValueCurveAtTime(curve, at, seconds);
    this.settled = at + seconds;
  }

  stop(at) {
    this.source.stop(at);
    this.dip?.stop(at);
  }
}
