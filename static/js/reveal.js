/** After the vote: which system was which, what the model and others say, how a check went, and what to do next. */
import { call, TryLater } from './api.js';
import { gettext, interpolate } from './i18n.js';
import { insightSentences } from './insight.js';
import { fill } from './older.js';
import { Undo } from './undo.js';
import { other, SAID } from './words.js';

const $ = (id) => document.getElementById(id);

const CHECKS = {
  practice: degraded,
  gold: degraded,
  trap: ({ expected, passed }) => interpolate(passed
    ? gettext('This pair was an attention check: the signal was in %(slot)s. You heard it.')
    : gettext('This pair was an attention check: the signal was in %(slot)s.'), { slot: expected }),
  repeat: ({ passed }) => {
    if (passed === null) return gettext('You had heard this pair before, with A and B swapped.');
    return passed
      ? gettext('You had heard this pair before, with A and B swapped, and gave the same answer.')
      : gettext('You had heard this pair before, with A and B swapped, and gave a different answer. That happens when two clips are close.');
  },
};

/** Whether there is something to reveal: two systems, not none, and not a clip against itself. */
export const twoSystems = ({ A, B }) => Boolean(A) && A !== B;

function degraded({ expected, passed }) {
  return interpolate(passed
    ? gettext('%(slot)s was the same clip, made worse on purpose. You heard it.')
    : gettext('%(slot)s was the same clip, made worse on purpose. Listen for dullness, noise or distortion.'), { slot: other(expected) });
}

export class Reveal {
  /** `on` has next() and like(battle). */
  constructor(settings, on) {
    this.on = on;
    this.settings = settings;
    this.battle = null;
    this.undo = new Undo($('undo'), {
      say: (sentence) => { $('undone').textContent = sentence; },
      done: (battle) => this.#takenBack(battle),
      gone: (focused) => focused && $('said').focus({ preventScroll: true }), // with the focus on "Next pair", Enter would leave by accident
    });
    $('next').addEventListener('click', () => this.next());
    this.likeLabel = $('like').textContent;
    $('like').addEventListener('click', () => this.#like());
  }

  get shown() {
    return this.battle !== null;
  }

  show(battle, preference, { systems, check }) {
    this.battle = battle;
    this.systems = systems;
    $('said').textContent = SAID[preference];
    $('said-saved').hidden = false;
    this.#showCheck(check);
    this.#showWho(battle, systems);
    $('undone').textContent = '';
    fill($('insight'), []);
    $('like').hidden = !systems.A || this.settings.has_checks;
    this.#canLike(true);
    $('ask').hidden = true;
    $('reveal').hidden = false;
    this.undo.offer(battle);
    $('said').focus({ preventScroll: true });
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    $('next').scrollIntoView({ block: 'nearest', behavior: still ? 'auto' : 'smooth' });
    this.telling = Boolean(systems.A) && (!check || check.kind === 'repeat'); // nobody has an opinion on a clip against itself
    this.#tell();
  }

  #showCheck(check) {
    $('check').hidden = !check;
    if (!check) return;
    $('check-mark').setAttribute('href', check.passed ? '#mark-saved' : '#mark-calm');
    $('check-text').textContent = CHECKS[check.kind](check);
  }

  #showWho(battle, systems) {
    $('who').hidden = !twoSystems(systems);
    if (!systems.A) return;
    for (const slot of ['A', 'B']) {
      $(`system-${slot.toLowerCase()}`).textContent = systems[slot];
      $(`download-${slot.toLowerCase()}`).href = `/audio/${battle.id}/${slot}/download`;
    }
  }

  hide() {
    this.battle = null;
    this.undo.end();
    $('ask').hidden = false;
    $('reveal').hidden = true;
  }

  next() {
    if (!this.battle) return;
    this.hide();
    this.on.next();
  }

  #canLike(can, label = this.likeLabel) {
    $('like').setAttribute('aria-disabled', String(!can));
    $('like').textContent = label;
  }

  #like() {
    if (!this.battle || $('like').getAttribute('aria-disabled') === 'true') return;
    this.#canLike(false, gettext('Loading two clips…'));
    this.on.like(this.battle);
  }

  /** No other pair for this prompt, or no connection (`again`: it may come back): the button stays and says why. */
  cannotLike(sentence, { again = false } = {}) {
    $('undone').textContent = sentence;
    this.#canLike(again);
  }

  /** The answer no longer counts, and so the listener's agreement changes. */
  #takenBack(battle) {
    if (this.battle !== battle) return;
    $('said-saved').hidden = true;
    $('said').textContent = gettext('Taken back');
    this.#tell();
  }

  /** What the model and others think; repeated after an undo, which changes the listener's agreement. */
  async #tell() {
    const { battle } = this;
    if (!battle || !this.telling) return;
    let lines = [];
    try {
      const { status, body } = await call('GET', `/api/battles/${battle.id}/insight/`);
      if (status === 200) lines = insightSentences(body, this.systems);
    } catch (error) {
      if (!(error instanceof TryLater)) throw error; // only the extra is missing: the vote is safe
    }
    if (this.battle !== battle) return;
    fill($('insight'), lines.map((text) => Object.assign(document.createElement('li'), { textContent: text })));
  }
}
