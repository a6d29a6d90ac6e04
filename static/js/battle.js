/** One battle on the page: its prompt, the gate, the answers. What happens to an answer is decided elsewhere. */
import { Deck, SLOTS } from './deck.js';
import { gettext, interpolate } from './i18n.js';
import { Listening } from './listening.js';
import { copyOf, fill } from './older.js';
import { Prompt } from './prompt.js';
import { Questions } from './questions.js';
import { status } from './states.js';
import { ANSWERS, ANSWER_KEYS, other, stillToHear, wholeSeconds } from './words.js';

const $ = (id) => document.getElementById(id);

export class BattleView {
  /** `on` has answered(preference, report) and opened(): the gate has just opened. */
  constructor(mode, on) {
    this.on = on;
    this.deck = new Deck(mode, {
      tick: (position) => this.#gate(position),
      silent: () => status('attention', gettext('This browser is not playing any sound. Check that this page is allowed to play sound, then press play again.')),
    });
    this.prompt = new Prompt();
    this.questions = new Questions({ complete: () => this.#sayComplete() });
    this.listening = null;
    this.answering = false; // whether answers are taken at all
    this.chosen = null;
    $('ask').addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
  }

  /** Show a battle whose clips are still on their way. */
  announce(battle) {
    this.answering = false;
    this.listening = null;
    this.battle = battle;
    this.#showPrompt();
    this.#showAnswers();
    this.deck.announce(battle);
    this.deck.showGate({ A: battle.min_listen_ms, B: battle.min_listen_ms }, battle.min_listen_ms);
    status('loading', ''); // a message appears only after a long wait
  }

  /** Its clips have arrived: it can be played and, once both are heard, answered. */
  show({ battle, buffers }) {
    this.listening = new Listening(battle.min_listen_ms);
    this.wasMissing = null;
    this.answering = true;
    this.deck.load(buffers, this.listening);
  }

  /** Nothing can be played or answered any more: another battle is on its way. */
  rest() {
    this.answering = false;
    this.listening = null;
    this.deck.rest();
  }

  /** What the listener does with it: {playing, events}; null while it cannot be played. */
  get activity() {
    return this.listening && { playing: Boolean(this.deck.player?.playing), events: this.listening.events.length };
  }

  #showPrompt() {
    const { text, lyrics } = this.battle.prompt;
    this.prompt.show(text || gettext('these lyrics'));
    $('lyrics').textContent = lyrics;
    $('lyrics-box').hidden = !lyrics;
    $('lyrics-box').open = !text;
  }

  #showAnswers() {
    const asked = Object.keys(ANSWERS).filter((answer) => this.battle.answers.includes(answer));
    $('answers').dataset.n = asked.length;
    fill($('answers'), asked.map((answer) => {
      const button = document.createElement('button');
      Object.assign(button, { type: 'button', className: 'button answer' });
      button.dataset.answer = answer;
      button.setAttribute('aria-keyshortcuts', ANSWER_KEYS[answer]);
      button.setAttribute('aria-disabled', 'true');
      button.append(ANSWERS[answer], Object.assign(document.createElement('kbd'), { textContent: ANSWER_KEYS[answer] }));
      button.addEventListener('click', () => this.answer(answer));
      return button;
    }));
    this.questions.show(this.battle);
    this.#choose(null);
    $('send').hidden = !this.questions.any;
    $('send').disabled = false;
    $('comment').value = '';
    $('comment-box').hidden = !this.battle.questions.comment;
    $('comment-box').open = $('skip-box').open = false;
    $('waiting').hidden = true;
  }

  // ---- the gate ----

  #gate(position) {
    if (!this.answering || !this.listening) return;
    const missing = this.listening.missing(position);
    this.deck.showGate(missing, this.battle.min_listen_ms);
    const still = SLOTS.filter((slot) => missing[slot]).join('');
    if (still === this.wasMissing) return;
    this.wasMissing = still; // announce it only when it has changed
    for (const button of $('answers').children) button.setAttribute('aria-disabled', String(this.locked));
    this.#sayGate(still);
    if (this.locked) return;
    this.listening.note('opened');
    this.on.opened();
  }

  get locked() {
    return this.wasMissing !== '';
  }

  #sayGate(still) {
    if (still === 'AB') {
      const words = { seconds: wholeSeconds(this.battle.min_listen_ms) };
      status('locked', interpolate(gettext('Listen to at least %(seconds)s s of each before you answer.'), words));
    } else if (still) {
      status('locked', interpolate(gettext('You have heard %(heard)s. Now listen to %(slot)s.'), { heard: other(still), slot: still }));
    } else {
      status('ready', this.questions.any
        ? gettext('You have heard both. Choose, answer the questions, then send.')
        : gettext('You have heard both. Your answer counts as soon as you choose.'));
    }
  }

  // ---- answering ----

  /** The overall answer: sent at once if nothing more is asked, otherwise chosen and still changeable. */
  answer(preference) {
    if (!this.answering || !this.battle.answers.includes(preference)) return;
    if (this.locked) {
      this.#sayLocked();
      return;
    }
    this.#choose(preference);
    if (!this.questions.any) {
      this.#decide();
      return;
    }
    this.questions.allow(preference);
    if (this.questions.focusOpen()) {
      status('ready', gettext('Choice noted; you can still change it. Answer the remaining questions, then send.'));
    } else {
      this.#sayComplete();
      $('send').focus();
    }
  }

  #sayComplete() {
    status('ready', gettext('All required questions are answered. Send, or change something first.'));
  }

  #sayLocked() {
    status('locked', stillToHear(this.listening.missing(this.deck.position), {
      single: gettext('Not yet: please listen to %(seconds)s s more of %(slot)s.'),
      both: gettext('Not yet: please listen to %(a)s s more of A and %(b)s s more of B.'),
    }));
  }

  /** Send the answer once everything required is filled in. */
  send() {
    if (!this.answering || !this.questions.any) return;
    if (this.locked) {
      this.#sayLocked();
    } else if (!this.chosen) {
      status('attention', gettext('Please say first which one is better.'));
      $('answers').querySelector('button').focus();
    } else {
      const complaint = this.questions.complain();
      if (complaint) status('attention', complaint);
      else this.#decide();
    }
  }

  #decide() {
    this.deck.pause('vote'); // what is reported as heard ends here
    this.listening.note('decided');
    this.close();
    const comment = $('comment').value.trim();
    this.on.answered(this.chosen, copyOf({ // a copy: a later attempt sends the same answer
      preference: this.chosen,
      ...this.questions.answers(),
      ...(comment && this.battle.questions.comment ? { comment } : {}),
      heard: this.listening.heard(this.deck.position),
      first_played: this.listening.firstPlayed,
      switches: this.listening.switches,
      events: this.listening.events,
    }));
  }

  #choose(preference) {
    this.chosen = preference;
    $('send').setAttribute('aria-disabled', String(preference === null));
    for (const button of $('answers').children) button.setAttribute('aria-pressed', String(button.dataset.answer === preference));
  }

  /** Take no more answers: one, or a skip, is being sent. */
  close() {
    this.answering = false;
    this.questions.close();
    this.#close(true);
  }

  #close(closed) {
    $('send').disabled = closed;
    for (const button of $('answers').children) button.disabled = closed;
  }

  /** Take answers again, after the server refused one, and say why; with `reset` the listening starts over. */
  reopen(sentence, { reset = false } = {}) {
    if (reset) {
      this.deck.pause();
      this.listening.reset();
    }
    this.#close(false);
    if (this.questions.any) this.questions.allow(this.chosen);
    else this.#choose(null);
    this.answering = true;
    this.wasMissing = null;
    this.#gate(this.deck.position);
    status('attention', sentence);
  }
}
