/** One battle on the page: the deck that plays it, the gate, the answers. What becomes of an answer is not its affair. */
import { audioContext } from './excerpts.js';
import { Listening } from './listening.js';
import { Player } from './player.js';
import { Waveform } from './waveform.js';
import { ANSWERS, ANSWER_KEYS, clock, seconds, stillToHear } from './words.js';

const $ = (id) => document.getElementById(id);
const SLOTS = ['A', 'B'];

export class BattleView {
  /** `on` has answered(preference, report) and opened(): the gate has just opened. */
  constructor(on) {
    this.on = on;
    this.player = null;
    this.locked = true;
    this.clips = Object.fromEntries(SLOTS.map((slot) => [slot, document.querySelector(`[data-clip="${slot}"]`)]));
    this.wave = new Waveform($('wave'), (position) => this.seek(position));
    $('play').addEventListener('click', () => this.toggle());
    for (const slot of SLOTS) this.clips[slot].addEventListener('click', () => this.hear(slot));
  }

  /** Put a loaded battle on the page. Returns once it can be played. */
  show({ battle, buffers }) {
    this.player?.pause();
    this.battle = battle;
    this.duration = battle.clips.A.duration_ms / 1000;
    this.peaks = { A: battle.clips.A.peaks, B: battle.clips.B.peaks };
    this.listening = new Listening(battle.min_listen_ms);
    this.player = new Player(audioContext(), buffers, this.duration, {
      audible: (slot, at) => this.listening.audible(slot, at),
      silent: (at) => this.listening.silent(at),
      changed: () => this.#changed(),
    });
    this.#showPrompt();
    this.#showAnswers();
    $('duration').textContent = clock(this.duration);
    $('wave').setAttribute('aria-valuemax', Math.round(this.duration));
    audioContext().onstatechange = () => { // a phone call takes the sound away: what follows is not heard
      if (audioContext().state !== 'running') this.player.pause();
    };
    this.revealed = false;
    document.querySelector('.clips').classList.remove('revealed');
    this.answering = true;
    this.wasMissing = null;
    this.#changed();
  }

  #showPrompt() {
    const { text, lyrics } = this.battle.prompt;
    $('prompt-text').textContent = text || 'these lyrics';
    $('lyrics').textContent = lyrics;
    $('lyrics-box').hidden = !lyrics;
    $('lyrics-box').open = !text;
  }

  #showAnswers() {
    const asked = Object.keys(ANSWERS).filter((answer) => this.battle.answers.includes(answer));
    $('answers').classList.toggle('two', asked.length === 2);
    $('answers').replaceChildren(...asked.map((answer) => {
      const button = document.createElement('button');
      Object.assign(button, { type: 'button', className: 'button answer' });
      button.dataset.answer = answer;
      button.setAttribute('aria-keyshortcuts', ANSWER_KEYS[answer]);
      button.append(ANSWERS[answer], Object.assign(document.createElement('kbd'), { textContent: ANSWER_KEYS[answer] }));
      button.addEventListener('click', () => this.answer(answer));
      return button;
    }));
    $('comment').value = '';
    $('comment-box').hidden = !this.battle.questions.comment;
    $('comment-box').open = $('skip-box').open = false;
  }

  // ---- playing ----

  toggle() {
    audioContext().resume();
    this.listening.note(this.player.playing ? 'pause' : 'play');
    this.player.toggle();
  }

  /** Switch to a clip, and play if nothing plays. */
  hear(slot) {
    audioContext().resume();
    this.#switch(slot);
    this.player.play();
  }

  swap() {
    this.#switch(this.player.slot === 'A' ? 'B' : 'A');
  }

  #switch(slot) {
    if (slot === this.player.slot) return;
    if (this.listening.firstPlayed) this.listening.switches += 1;
    this.listening.note(`switch ${slot}`);
    this.player.switchTo(slot);
  }

  seek(position) {
    this.listening.note('seek');
    this.player.seek(position);
  }

  nudge(by) {
    this.seek(this.player.position + by);
  }

  #label(slot, text) {
    this.clips[slot].querySelector('.now').textContent = text;
  }

  #changed() {
    const { playing } = this.player;
    $('play').dataset.playing = playing;
    $('play').setAttribute('aria-label', playing ? 'Pause' : 'Play');
    for (const slot of SLOTS) {
      const active = slot === this.player.slot;
      this.clips[slot].setAttribute('aria-pressed', String(active));
      if (!this.revealed) this.#label(slot, active ? (playing ? 'playing' : 'selected') : 'switch');
    }
    cancelAnimationFrame(this.frame);
    this.#tick();
  }

  /** Everything that follows the playhead; once per frame while playing. */
  #tick() {
    const { position, playing, slot } = this.player;
    const whole = clock(position);
    if ($('position').textContent !== whole) {
      $('position').textContent = whole;
      $('wave').setAttribute('aria-valuenow', Math.round(position));
      $('wave').setAttribute('aria-valuetext', `${whole} of ${clock(this.duration)}`);
    }
    this.wave.draw({ peaks: this.peaks, heard: this.listening.heard(position), slot, position, duration: this.duration });
    if (this.answering) this.#gate(this.listening.missing(position));
    if (playing) this.frame = requestAnimationFrame(() => this.#tick());
  }

  // ---- the gate ----

  #gate(missing) {
    for (const slot of SLOTS) {
      const ms = missing[slot];
      const label = ms ? `${seconds(ms)} to go` : 'heard ✓';
      const gate = this.clips[slot].querySelector('.gate');
      if (gate.textContent !== label) gate.textContent = label;
      this.clips[slot].querySelector('i').style.width = `${100 * (1 - ms / this.battle.min_listen_ms)}%`;
    }
    const still = SLOTS.filter((slot) => missing[slot]).join('');
    if (still === this.wasMissing) return;
    this.wasMissing = still; // only now is there something new to announce
    this.locked = still !== '';
    for (const button of $('answers').children) button.setAttribute('aria-disabled', String(this.locked));
    this.say(this.#gateSentence(still));
    if (!this.locked) this.on.opened();
  }

  #gateSentence(still) {
    if (still === 'AB') return `Hear at least ${seconds(this.battle.min_listen_ms)} of each before you answer.`;
    if (still) return `${still === 'A' ? 'B' : 'A'} is heard. Now listen to ${still}.`;
    return 'Both heard. Your answer counts at once.';
  }

  /** The server wants more listening than we counted; with `reset` it did not believe the count at all. */
  demand(sentence, reset) {
    if (reset) {
      this.player.pause();
      this.listening.reset();
    }
    this.reopen();
    this.say(sentence);
  }

  say(sentence) {
    $('status').textContent = sentence;
  }

  // ---- answering ----

  answer(preference) {
    if (!this.answering || !this.battle.answers.includes(preference)) return;
    if (this.locked) {
      this.say(`Not yet: please listen to ${stillToHear(this.listening.missing(this.player.position))}.`);
      return;
    }
    this.answering = false;
    this.player.pause(); // what is reported as heard ends here
    const comment = $('comment').value.trim();
    this.#pressed(preference);
    this.on.answered(preference, {
      preference,
      ...(comment && this.battle.questions.comment ? { comment } : {}),
      heard: this.listening.heard(this.player.position),
      first_played: this.listening.firstPlayed,
      switches: this.listening.switches,
      events: this.listening.events,
    });
  }

  /** Take answers again, after the server refused one. */
  reopen() {
    this.answering = true;
    this.wasMissing = null;
    this.#pressed(null);
    this.#changed();
  }

  #pressed(preference) {
    for (const button of $('answers').children) {
      button.disabled = preference !== null;
      button.setAttribute('aria-pressed', String(button.dataset.answer === preference));
    }
  }

  reveal(systems) {
    this.revealed = true;
    document.querySelector('.clips').classList.add('revealed');
    for (const slot of SLOTS) {
      this.#label(slot, systems[slot]);
      this.clips[slot].querySelector('.gate').textContent = '';
    }
  }
}
