/** What both clips were made for. A long prompt keeps to a few lines, so that the player stays where it is; a button shows
    all of it in a box that scrolls. */
import { gettext } from './i18n.js';

const $ = (id) => document.getElementById(id);

export class Prompt {
  constructor() {
    $('prompt-all').addEventListener('click', () => this.#open(!this.isOpen));
    new ResizeObserver(() => this.#fit()).observe($('prompt-box'));
  }

  show(text) {
    $('prompt-text').textContent = text;
    this.#open(false);
  }

  get isOpen() {
    return $('prompt-box').classList.contains('open');
  }

  #open(open) {
    const box = $('prompt-box');
    box.classList.toggle('open', open);
    box.scrollTop = 0;
    if (open) box.setAttribute('tabindex', '0'); // so that it can be scrolled by keys
    else box.removeAttribute('tabindex');
    $('prompt-all').setAttribute('aria-expanded', String(open));
    $('prompt-all').textContent = open ? gettext('Show less') : gettext('Show all of it');
    this.#fit();
  }

  /** Offer the button where the closed box does not show everything. */
  #fit() {
    const box = $('prompt-box');
    if (this.isOpen) return;
    const cut = box.scrollHeight > box.clientHeight + 1;
    box.classList.toggle('cut', cut);
    $('prompt-all').hidden = !cut;
  }
}
