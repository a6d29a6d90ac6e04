/** After the vote: who was who, what the model and the crowd say, ten seconds to take it back. */
import { call, TryLater } from './api.js';
import { SAID } from './words.js';

const $ = (id) => document.getElementById(id);
const UNDO_S = 10;
const percent = (share) => `${Math.round(share * 100)} %`;
const sure = (share) => (share > 0.99 ? 'over 99 %' : percent(share));

export class Reveal {
  constructor(onNext) {
    this.onNext = onNext;
    this.battle = null;
    $('next').addEventListener('click', () => this.next());
    $('undo').addEventListener('click', () => this.undo());
  }

  get shown() {
    return this.battle !== null;
  }

  show(battle, preference, { systems }) {
    this.battle = battle;
    $('said').textContent = SAID[preference];
    $('system-a').textContent = systems.A;
    $('system-b').textContent = systems.B;
    $('undone').textContent = '';
    $('insight').replaceChildren();
    $('ask').hidden = true;
    $('reveal').hidden = false;
    this.#countDown(UNDO_S);
    $('said').focus({ preventScroll: true });
    $('reveal').scrollIntoView({ block: 'nearest' });
    this.#tell(battle, systems);
  }

  hide() {
    this.battle = null;
    clearInterval(this.timer);
    $('ask').hidden = false;
    $('reveal').hidden = true;
  }

  next() {
    if (!this.battle) return;
    this.hide();
    this.onNext();
  }

  async #tell(battle, systems) {
    let lines = [];
    try {
      const { status, body } = await call('GET', `/api/battles/${battle.id}/insight/`);
      if (status === 200) lines = sentences(body, systems);
    } catch (error) {
      if (!(error instanceof TryLater)) throw error; // only the extra is missing: the vote is safe
    }
    if (this.battle !== battle) return;
    $('insight').replaceChildren(...lines.map((text) => Object.assign(document.createElement('li'), { textContent: text })));
  }

  #countDown(left) {
    clearInterval(this.timer);
    $('undo').hidden = false;
    const say = () => { $('undo').textContent = `Take it back (${left} s)`; };
    say();
    this.timer = setInterval(() => {
      left -= 1;
      if (left > 0) return say();
      clearInterval(this.timer);
      if (document.activeElement === $('undo')) $('next').focus();
      $('undo').hidden = true;
      return undefined;
    }, 1000);
  }

  async undo() {
    const { battle } = this;
    let sentence;
    try {
      const { status, body } = await call('DELETE', `/api/battles/${battle.id}/vote/`);
      sentence = status === 200 ? 'Taken back: your answer is marked as withdrawn and does not count.' : body.detail;
    } catch (error) {
      if (!(error instanceof TryLater)) throw error;
      sentence = 'No connection, so it could not be taken back. Try again while the seconds last.';
      if (this.battle === battle) $('undone').textContent = sentence;
      return;
    }
    if (this.battle !== battle) return;
    clearInterval(this.timer);
    $('undo').hidden = true;
    $('next').focus();
    $('undone').textContent = sentence;
  }
}

function sentences({ model, crowd, agreement }, systems) {
  const lines = [];
  if (model) {
    const share = model.prefers === 'A' ? model.probability_a : 1 - model.probability_a;
    lines.push(`The reward model ${model.reward_model} leans to ${model.prefers}, ${sure(share)} sure.`);
  } else {
    lines.push('No reward model has an opinion on these two yet.');
  }
  if (crowd) {
    const side = crowd.share_a >= 0.5 ? 'A' : 'B';
    const share = side === 'A' ? crowd.share_a : 1 - crowd.share_a;
    if (share === 0.5) lines.push(`Others are split evenly between these two systems (${crowd.n_votes} so far).`);
    else if (crowd.n_votes === 1) lines.push(`The one other vote between these two systems went to ${systems[side]}.`);
    else lines.push(`Of ${crowd.n_votes} other votes between these two systems, ${percent(share)} went to ${systems[side]}.`);
  } else {
    lines.push('Nobody else has compared these two systems yet.');
  }
  const so = Object.entries({ 'the model': agreement.with_model, 'the crowd': agreement.with_crowd })
    .filter(([, value]) => value)
    .map(([who, { agreed, of }]) => `with ${who} in ${agreed} of ${of}`);
  if (so.length) lines.push(`So far you agree ${so.join(' and ')}.`);
  return lines;
}
