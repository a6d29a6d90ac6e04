/** The help dialog, and every switch for a preference: those of one preference move together. */
import { closesItself, openDialog } from './older.js';
import * as preferences from './preferences.js';

const $ = (id) => document.getElementById(id);
const switches = (name) => document.querySelectorAll(`[data-preference="${name}"]`);

export function openHelp() {
  openDialog($('help'));
}

/** Make the switches and the help button work; `onChange(name, value)` after a switch. */
export function bindHelp(onChange = () => {}) {
  closesItself($('help'));
  $('help-open').addEventListener('click', openHelp);
  for (const control of document.querySelectorAll('[data-preference]')) {
    const { preference } = control.dataset;
    control.checked = preferences.get(preference);
    control.addEventListener('change', () => {
      preferences.set(preference, control.checked);
      for (const each of switches(preference)) each.checked = control.checked;
      onChange(preference, control.checked);
    });
  }
}
