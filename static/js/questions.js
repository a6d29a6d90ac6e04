/** What a study asks besides the overall answer: how much better, each axis, reasons. Rebuilt for every battle. */
import { gettext, interpolate } from './i18n.js';
import { fill } from './older.js';
import * as preferences from './preferences.js';
import { ANSWER_KEYS, ANSWERS, axisQuestion, SHORT } from './words.js';

const $ = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const { dataset = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(name), rest);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}

/** A labelled native radio or checkbox; its key works while the focus is in its row. */
function choice(type, name, value, text, key = '') {
  const input = element('input', { type, name, value, dataset: { key: key.toLowerCase() } });
  if (key) input.setAttribute('aria-keyshortcuts', key);
  return element('label', { className: 'option' }, input, element('span', { dir: 'auto' }, text));
}

function row(name, question, choices, className = '') {
  const missing = element('small', { className: 'missing', hidden: true, textContent: gettext('please answer') });
  const legend = element('legend', {}, element('bdi', {}, question), ' ', missing);
  return element('fieldset', { className: `row ${className}`, dataset: { row: name } }, legend, element('div', { className: 'options' }, ...choices));
}

export class Questions {
  /** `on` has complete(): the last question that needs an answer has one. */
  constructor(on) {
    this.box = $('questions');
    this.asked = { degree: false, axes: [], tags: [] };
    this.box.addEventListener('keydown', (event) => this.#key(event));
    this.box.addEventListener('change', ({ target }) => {
      this.#mark(target.closest('fieldset'), false);
      if (!this.open) on.complete();
    });
  }

  /** Ask what `battle` asks. */
  show({ questions, answers }) {
    this.asked = questions;
    const axes = questions.axes.map((axis) => row(`axis:${axis}`, axisQuestion(axis), this.#axisChoices(axis, answers)));
    const degree = questions.degree ? [row('degree', gettext('How much better?'), [
      choice('radio', 'degree', 'much', gettext('Much better'), 'M'),
      choice('radio', 'degree', 'slightly', gettext('Slightly better'), 'S'),
    ], 'two')] : [];
    const tags = questions.tags.length ? [
      row(
        'tags', gettext('What made the difference? Choose any that apply, or none.'),
        questions.tags.map((tag) => choice('checkbox', 'tags', tag, tag)), 'tags',
      ),
    ] : [];
    fill(this.box, [...degree, ...axes, ...tags]);
    this.box.hidden = !this.any;
    this.allow(null);
  }

  #axisChoices(axis, answers) {
    return Object.keys(ANSWERS).filter((answer) => answers.includes(answer))
      .map((answer) => choice('radio', `axis:${axis}`, answer, SHORT[answer], ANSWER_KEYS[answer]));
  }

  /** Whether an overall answer alone is not enough. */
  get any() {
    return this.asked.degree || this.asked.axes.length > 0 || this.asked.tags.length > 0;
  }

  /** Open the rows once there is an overall answer; how much better is asked only if one clip is better. */
  allow(preference) {
    for (const each of this.box.children) {
      const asked = each.dataset.row === 'degree' ? ['A', 'B'].includes(preference) : preference !== null;
      each.disabled = !asked;
      if (!asked && each.dataset.row === 'degree') for (const input of each.querySelectorAll('input')) input.checked = false;
    }
  }

  close() {
    for (const each of this.box.children) each.disabled = true;
  }

  #required() {
    return [...this.box.children].filter((each) => !each.disabled && each.dataset.row !== 'tags');
  }

  /** The first row without an answer, or nothing. */
  get open() {
    return this.#required().find((each) => !each.querySelector(':checked'));
  }

  /** Focus the first question that has no answer; false when there is none. */
  focusOpen() {
    const next = this.open;
    next?.querySelector('input').focus();
    return next !== undefined;
  }

  /** What is missing before the answer can be sent, as a sentence, with the focus on it; '' if nothing is. */
  complain() {
    const { open } = this;
    if (!open) return '';
    for (const each of this.#required()) this.#mark(each, !each.querySelector(':checked'));
    this.focusOpen();
    return interpolate(gettext('One more, please: %(question)s'), { question: open.querySelector('legend').firstChild.textContent });
  }

  #mark(fieldset, missing) {
    fieldset.querySelector('.missing').hidden = !missing;
  }

  /** {degree?, axes?, tags?} as the server takes them. */
  answers() {
    const checked = (name) => [...this.box.querySelectorAll(`input[name="${CSS.escape(name)}"]:checked`)].map(({ value }) => value);
    const axes = Object.fromEntries(this.asked.axes.map((axis) => [axis, checked(`axis:${axis}`)[0]]).filter(([, value]) => value));
    const [degree] = checked('degree');
    const tags = checked('tags');
    return {
      ...(degree ? { degree } : {}),
      ...(Object.keys(axes).length ? { axes } : {}),
      ...(tags.length ? { tags } : {}),
    };
  }

  /** Within a row the keys of its answers select one and move on to the next open row. */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !preferences.get('shortcuts')) return;
    const fieldset = event.target.closest('fieldset');
    const input = fieldset?.querySelector(`input[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (!input || event.key.length > 1) return;
    event.preventDefault();
    input.checked = true;
    input.dispatchEvent(new Event('change', { bubbles: true }));
    input.focus();
    if (!this.focusOpen()) $('send').focus();
  }
}
