/** Ten seconds to take an answer back. Recorded as a withdrawal: the vote stays, marked, and counts nowhere. */
import { call, TryLater } from './api.js';
import { gettext, interpolate } from './i18n.js';
import { whyRefused } from './words.js';

const UNDO_S = 10;

export class Undo {
  /** `say(sentence)` tells the outcome; `done()` after the vote is withdrawn; `gone()` when the button goes. */
  constructor(button, { say, done = () => {}, gone = () => {} }) {
    Object.assign(this, { button, say, done, gone, battle: null });
    button.addEventListener('click', () => this.take());
  }

  offer(battle) {
    clearInterval(this.timer);
    this.battle = battle;
    let left = UNDO_S;
    const count = () => { this.button.textContent = interpolate(gettext('Take it back (%(seconds)s s)'), { seconds: left }); };
    count();
    this.button.hidden = false;
    this.timer = setInterval(() => {
      left -= 1;
      if (left > 0) count();
      else this.end();
    }, 1000);
  }

  end() {
    clearInterval(this.timer);
    this.battle = null;
    if (this.button.hidden) return;
    const focused = document.activeElement === this.button;
    this.button.hidden = true;
    this.gone(focused);
  }

  async take() {
    const { battle } = this;
    let answer;
    try {
      answer = await call('DELETE', `/api/battles/${battle.id}/vote/`);
    } catch (error) {
      if (!(error instanceof TryLater)) throw error;
      if (this.battle === battle) this.say(gettext('No connection, so it could not be taken back. Try again while the seconds last.'));
      return;
    }
    const withdrawn = answer.status === 200;
    if (withdrawn) this.done(battle);
    if (this.battle !== null && this.battle !== battle) return; // another answer has been given meanwhile
    this.end();
    this.say(withdrawn ? gettext('Taken back: your answer is marked as withdrawn and does not count.') : whyRefused(answer));
  }
}
