/** Where nothing is revealed: a line above the next pair that says the last answer is saved, and takes it back. */
import { gettext } from './i18n.js';
import { Undo } from './undo.js';

const $ = (id) => document.getElementById(id);

export class Tray {
  constructor() {
    this.undo = new Undo($('tray-undo'), {
      say: (sentence) => { $('tray-text').textContent = sentence; },
      gone: (focused) => {
        $('tray-mark').setAttribute('hidden', '');
        $('tray-text').textContent = '';
        if (focused) $('prompt-text').focus({ preventScroll: true });
      },
    });
  }

  /** The answer to `battle` has just been saved. */
  saved(battle) {
    $('tray-mark').removeAttribute('hidden');
    $('tray-text').textContent = gettext('Saved.');
    this.undo.offer(battle);
  }
}
