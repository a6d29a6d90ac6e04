/** What comes before the first battle: the volume, the headphones, and the signal of the attention checks. */
import { bytes, call, persist } from './api.js';
import { audioContext } from './excerpts.js';
import { gettext, interpolate } from './i18n.js';
import { headphoneCheck } from './headphones.js';
import { loading } from './states.js';
import { level, play, referenceSound, setLevel } from './volume.js';
import { noAnswer, whyRefused } from './words.js';

const $ = (id) => document.getElementById(id);
const SIGNAL = '/audio/tones.wav';
const STEPS = { volume_needed: setVolume, headphones_needed: (settings) => headphoneCheck(settings, { show, press }) };

/** Do the step that the server asked for with `code` (volume_needed, headphones_needed), in the section the caller shows.

    Resolves to 'continue' when the server has accepted it, to 'ended' when this listener cannot go on. */
export async function before(code, settings) {
  if (!STEPS[code]) throw new Error(`before: ${code} is no step; there are ${Object.keys(STEPS).join(', ')}.`);
  try {
    return await STEPS[code](settings);
  } finally {
    leave();
  }
}

/** Shown between the last step and what comes next, which may have to be loaded. */
function leave() {
  show(null);
  loading(gettext('Loading two clips…'));
}

function show(name) {
  for (const step of document.querySelectorAll('.before [data-step]')) step.hidden = step.dataset.step !== name;
  // The caller may make the section visible only after this.
  if (name) requestAnimationFrame(() => stepOf(name).querySelector('[tabindex="-1"]').focus({ preventScroll: true }));
}

const stepOf = (name) => document.querySelector(`.before [data-step="${name}"]`);

/** The `data-press` of the next button pressed in that step. */
function press(name) {
  return new Promise((resolve) => {
    const step = stepOf(name);
    step.addEventListener('click', function pressed(event) {
      const button = event.target.closest('[data-press]');
      if (!button) return;
      step.removeEventListener('click', pressed);
      resolve(button.dataset.press);
    });
  });
}

// ---- volume ----

async function setVolume(settings) {
  const say = (sentence) => { $('volume-say').textContent = sentence; };
  const reference = new Reference(say);
  say('');
  show('volume');
  try {
    for (;;) {
      await press('volume');
      setLevel($('volume-level').value / 100);
      const problem = reference.heard
        ? await refusalOfVolume(settings, say)
        : gettext('Play the sound first, so that you can hear what you are setting.');
      if (!problem) return 'continue';
      say(problem);
    }
  } finally {
    reference.stop();
  }
}

/** The reference sound with its button and its slider. */
class Reference {
  constructor(say) {
    Object.assign(this, { say, sound: null, heard: false, rendered: referenceSound() });
    this.rendered.catch(() => {}); // reported where it is awaited
    $('volume-level').value = Math.round(level() * 100);
    setLevel($('volume-level').value / 100); // the slider has a minimum: what it shows is what is heard
    $('volume-level').oninput = () => {
      setLevel($('volume-level').value / 100);
      this.sound?.loudness(level());
      this.#draw();
    };
    $('volume-play').onclick = () => this.#toggle();
    this.#draw();
  }

  async #toggle() {
    this.heard = true;
    try {
      const buffer = await this.rendered;
      if (this.sound) this.stop();
      else this.sound = play(buffer, { loop: true });
      this.say('');
    } catch { // a sound that cannot be played must not block anybody
      this.say(gettext('The sound cannot be played here. Go on, and set your volume with the first clip.'));
    }
    this.#draw();
  }

  stop() {
    this.sound?.stop();
    this.sound = null;
  }

  #draw() {
    const playing = this.sound !== null;
    $('volume-shown').textContent = interpolate(gettext('%(percent)s %'), { percent: $('volume-level').value });
    $('volume-play').classList.toggle('playing', playing); // no aria-pressed: the label already says it
    $('volume-play').querySelector('.label').textContent = playing ? gettext('Stop the sound') : gettext('Play the sound');
  }
}

/** Send the level. Returns why it was refused, as a sentence; '' if it was accepted or is no longer asked for. */
async function refusalOfVolume(settings, say) {
  const reply = await persist(
    () => call('POST', `/api/studies/${settings.slug}/volume/`, { level: level() }),
    (...why) => say(noAnswer(...why)),
  );
  const taken = reply.status < 300 || reply.status === 401 || reply.status === 403;
  return taken ? '' : whyRefused(reply); // a missing rater or consent shows up in the next battle's answer
}

// ---- the signal of the attention checks ----

const introduced = new Set(); // slugs of studies; for browsers that block storage
const note = ({ slug }) => `arena.signal.${slug}`;

/** Whether this listener has yet to hear about the signal, once per tab and study. */
export function needsTrapInstructions(settings) {
  if (!settings.traps || introduced.has(settings.slug)) return false;
  try {
    return sessionStorage.getItem(note(settings)) === null;
  } catch {
    return true;
  }
}

/** Explain the signal and play it. Resolves when the listener goes on. */
export async function trapInstructions(settings) {
  const say = (sentence) => { $('signal-say').textContent = sentence; };
  const signal = persist(() => bytes(SIGNAL)).then((data) => audioContext().decodeAudioData(data));
  signal.catch(() => {}); // reported below, where it is awaited
  let heard = false;
  $('signal-play').onclick = async () => {
    say(gettext('Listen…'));
    try {
      await play(await signal).ended;
      say(gettext('That was the signal. You can hear it again as often as you like.'));
    } catch { // a signal that cannot be played must not block anybody
      say(gettext('The signal cannot be played here: it is three short rising beeps.'));
    }
    heard = true;
  };
  say('');
  show('signal');
  for (;;) {
    await press('signal');
    if (heard) break;
    say(gettext('Play the signal first, so that you will recognise it.'));
  }
  introduced.add(settings.slug);
  try {
    sessionStorage.setItem(note(settings), 'told');
  } catch { /* storage is blocked: `introduced` remembers */ }
  leave();
}
