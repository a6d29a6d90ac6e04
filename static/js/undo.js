/** Ten seconds to take an answer back. Recorded as a withdrawal: the vote stays, marked, and counts nowhere. */
import { call, TryLater } from './api.js';
import { gettext, interpolate } from './i18n.js';
import { notice } from './states.js';
import { whyRefused } from './words.js';

const UNDO_MS = 10_000;

export class Undo {
  /** `say(sentence)` shows the outcome; `done()` after the vote is withdrawn; `gone()` when the button goes. */
  constructor(button, { say, done = () => {}, gone = () => {} }) {
    Object.assign(this, { button, say, done, gone, battle: null, asking: null });
    button.setAttribute('aria-label', gettext('Take it back')); // without the seconds, so that they are not read out
    button.addEventListener('click', () => this.take());
  }

  offer(battle) {
    this.battle = battle;
    this.until = performance.now() + UNDO_MS;
    this.button.hidden = false;
    this.#countDown();
  }

  #countDown() {
    clearInterval(this.timer);
    this.button.removeAttribute('aria-disabled');
    this.#count();
    this.timer = setInterval(() => (this.#left > 0 ? this.#count() : this.end()), 1000);
  }

  get #left() {
    return Math.round((this.until - performance.now()) / 1000);
  }

  #count() {
    this.button.textContent = interpolate(gettext('Take it back (%(seconds)s s)'), { seconds: this.#left });
  }

  end() {
    clearInterval(this.timer);
    this.battle = null;
    if (this.button.hidden) return;
    const focused = document.activeElement === this.button;
    this.button.hidden = true;
    this.gone(focused);
  }

  /** Pressing twice is still one request; the countdown waits for its outcome, which is shown wherever the listener is. */
  async take() {
    const { battle } = this;
    if (!battle || this.asking === battle) return;
    this.asking = battle;
    clearInterval(this.timer);
    this.button.setAttribute('aria-disabled', 'true');
    const answer = await this.#ask(battle);
    if (this.asking === battle) this.asking = null;
    const here = this.battle === battle;
    if (here && !answer && this.#left > 0) this.#countDown();
    else if (here) this.end();
    const say = here ? this.say : notice;
    say(this.#outcome(answer, here));
    if (answer?.status === 200) this.done(battle);
  }

  /** {status, body}, or null when nobody answers. */
  async #ask(battle) {
    try {
      return await call('DELETE', `/api/battles/${battle.id}/vote/`);
    } catch (error) {
      if (!(error instanceof TryLater)) throw error;
      return null;
    }
  }

  #outcome(answer, here) {
    if (answer?.status === 200) return gettext('Taken back: your answer is marked as withdrawn and does not count.');
    if (answer) return whyRefused(answer);
    return here && this.battle
      ? gettext('No connection, so it could not be taken back. Try again before the time runs out.')
      : gettext('No connection, so we cannot tell whether it was taken back. Your own page says which answers count.');
  }
}
