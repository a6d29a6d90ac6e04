/** The deck: two clips under one playhead, with their waveform, loop and volume. It reports what is audible to `listening`. */
import { audioContext, keep, unlock } from './excerpts.js';
import { gettext, interpolate } from './i18n.js';
import { LoopControl } from './loop.js';
import { Player } from './player.js';
import { pictureOf } from './picture.js';
import * as preferences from './preferences.js';
import { clock, other } from './words.js';
import { Waveform } from './waveform.js';

const $ = (id) => document.getElementById(id);
export const SLOTS = ['A', 'B'];
const NOTHING = { A: [], B: [] };
const FLAT = { A: [0], B: [0] }; // as long as nothing is decoded

export class Deck {
  /** `mode`: the study's switching. `on` has tick(position), whenever something moves, once per frame while playing;
      and silent(), when the browser plays no sound. */
  constructor(mode, on) {
    this.mode = mode;
    this.on = on;
    this.player = null;
    this.clips = Object.fromEntries(SLOTS.map((slot) => [slot, document.querySelector(`[data-clip="${slot}"]`)]));
    this.wave = new Waveform($('wave'), (position, { began }) => this.seek(position, began));
    this.loop = new LoopControl((loop) => this.#loopIs(loop));
    $('play').addEventListener('click', () => this.toggle());
    $('loop').addEventListener('click', () => this.toggleLoop());
    for (const slot of SLOTS) this.clips[slot].addEventListener('click', () => this.hear(slot));
    this.#bindVolume();
  }

  // ---- a battle's clips ----

  /** Show a battle's clips before they can be played. */
  announce(battle) {
    this.#letGo();
    this.battle = battle;
    this.duration = battle.clips.A.duration_ms / 1000;
    this.peaks = FLAT;
    this.loop.reset(this.duration);
    $('duration').textContent = clock(this.duration);
    $('wave').setAttribute('aria-valuemax', Math.round(this.duration));
    $('deck').classList.remove('revealed');
    this.#ready(false);
    this.#changed();
  }

  /** Its clips are decoded: from now on they can be played. */
  load(buffers, listening) {
    keep(this.battle);
    this.listening = listening;
    this.peaks = { A: pictureOf(buffers.A), B: pictureOf(buffers.B) };
    const player = new Player(audioContext(), buffers, this.duration, {
      audible: (slot, at) => listening.audible(slot, at),
      silent: (at) => listening.silent(at),
      ended: () => listening.note('pause', 'end'),
      changed: () => this.player === player && this.#changed(),
    }, { mode: this.mode });
    this.player = player;
    player.volume = preferences.get('volume');
    $('volume').value = Math.round(player.volume * 100);
    audioContext().onstatechange = () => { // a phone call interrupts the sound: what follows is not heard
      if (audioContext().state !== 'running' && this.player === player) this.pause('interrupted');
    };
    this.#ready(true);
    this.#changed();
  }

  #letGo() {
    cancelAnimationFrame(this.frame);
    this.player?.disconnect();
    this.player = null;
    this.listening = null;
  }

  /** Fall silent until the next battle. */
  rest() {
    this.#letGo();
    this.#ready(false);
    $('play').dataset.playing = false;
  }

  #ready(ready) {
    $('deck').setAttribute('aria-busy', String(!ready));
    for (const button of [$('play'), $('loop'), ...Object.values(this.clips)]) button.setAttribute('aria-disabled', String(!ready));
  }

  get position() {
    return this.player?.position ?? 0;
  }

  // ---- what a listener does ----

  /** `why`, if nobody pressed pause: interrupted, vote. */
  pause(why) {
    if (!this.player?.playing) return;
    this.listening.note('pause', why);
    this.player.pause();
  }

  toggle() {
    if (!this.player) return;
    this.#unlock();
    this.listening.note(this.player.playing ? 'pause' : 'play');
    this.player.toggle();
  }

  /** Switch to a clip, and play if nothing plays. */
  hear(slot) {
    if (!this.player) return;
    this.#unlock();
    this.#switch(slot);
    if (this.player.playing) return;
    this.listening.note('play');
    this.player.play();
  }

  /** Must be called inside a tap or a key press. */
  async #unlock() {
    const { player } = this;
    if (await unlock()) return;
    if (player !== this.player) return;
    this.pause('interrupted');
    this.on.silent();
  }

  swap() {
    if (this.player) this.#switch(other(this.player.slot));
  }

  #switch(slot) {
    if (slot === this.player.slot) return;
    if (this.listening.firstPlayed) this.listening.switches += 1;
    this.listening.note('switch', slot);
    this.player.switchTo(slot);
  }

  seek(position, began = true) {
    if (!this.player) return;
    if (began) this.listening.note('seek', Math.round(position * 1000));
    this.player.seek(position);
  }

  nudge(by) {
    this.seek(this.position + by);
  }

  toggleLoop() {
    if (!this.player) return;
    this.loop.toggle(this.position);
    const { loop } = this.loop;
    this.listening.note('loop', loop ? [Math.round(loop.start * 1000), Math.round(loop.end * 1000)] : null);
  }

  #loopIs(loop) {
    if (this.player) this.player.loop = loop;
  }

  #bindVolume() {
    const slider = $('volume');
    slider.value = Math.round(preferences.get('volume') * 100);
    slider.addEventListener('input', () => {
      preferences.set('volume', slider.value / 100);
      if (this.player) this.player.volume = slider.value / 100;
    });
    slider.addEventListener('change', () => this.listening?.note('volume', slider.value / 100));
  }

  // ---- what is shown ----

  #changed() {
    const playing = this.player?.playing ?? false;
    $('play').dataset.playing = playing;
    $('play').setAttribute('aria-label', playing ? gettext('Pause') : gettext('Play'));
    for (const slot of SLOTS) {
      const active = slot === (this.player?.slot ?? 'A');
      this.clips[slot].setAttribute('aria-pressed', String(active));
      if (!this.revealed) this.label(slot, this.#labelOf(active, playing));
    }
    cancelAnimationFrame(this.frame);
    this.#tick();
  }

  #labelOf(active, playing) {
    if (!active) return gettext('switch');
    return playing ? gettext('playing') : gettext('selected');
  }

  get revealed() {
    return $('deck').classList.contains('revealed');
  }

  label(slot, text) {
    this.clips[slot].querySelector('.now').textContent = text;
  }

  /** Show the systems' names instead of what the buttons do. */
  reveal(systems) {
    $('deck').classList.add('revealed');
    for (const slot of SLOTS) this.label(slot, systems[slot]);
  }

  /** How much of the gate is left of each clip, in ms. */
  showGate(missing, gateMs) {
    for (const slot of SLOTS) {
      const left = Math.ceil(missing[slot] / 1000);
      const label = left ? interpolate(gettext('%(seconds)s s to go'), { seconds: left }) : gettext('heard ✓');
      const gate = this.clips[slot].querySelector('.gate');
      if (gate.textContent !== label) gate.textContent = label;
      this.clips[slot].querySelector('i').style.width = `${100 * (1 - missing[slot] / gateMs)}%`;
    }
  }

  /** Everything that follows the playhead; once per frame while playing. */
  #tick() {
    const { position, duration, peaks, player } = this;
    const whole = clock(position);
    if ($('position').textContent !== whole || !player) {
      $('position').textContent = whole;
      $('wave').setAttribute('aria-valuenow', Math.round(position));
      $('wave').setAttribute('aria-valuetext', interpolate(gettext('%(position)s of %(duration)s'), { position: whole, duration: clock(duration) }));
    }
    const heard = this.listening?.heard(position) ?? NOTHING;
    const positions = this.mode === 'sync' ? undefined : player?.positions;
    this.wave.draw({ peaks, heard, slot: player?.slot ?? 'A', position, duration, loop: player?.loop ?? null, positions });
    this.on.tick(position);
    if (player?.playing) this.frame = requestAnimationFrame(() => this.#tick());
  }
}
