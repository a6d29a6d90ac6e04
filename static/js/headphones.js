/** The headphone check: six times three noises, one of which contains a faint tone that only headphones reveal.

    Where a trial cannot be fetched, decoded or played, the result is "unknown", and nobody is excluded for it. */
import { bytes, call, persist } from './api.js';
import { audioContext } from './excerpts.js';
import { gettext, interpolate } from './i18n.js';
import { bindKeys } from './keys.js';
import * as preferences from './preferences.js';
import { Silence, play } from './volume.js';
import { noAnswer } from './words.js';

const $ = (id) => document.getElementById(id);
const NOISE_S = 1; // as arena/audio/headphones.py makes them
const PERIOD_S = 1.5; // a noise and the pause after it
const CHOICES = [1, 2, 3];
const PLAYS = 2; // a trial and one replay

let trial = null; // on the page now
bindKeys({
  Space: () => (trial ? trial.play() : false),
  ...Object.fromEntries(CHOICES.map((choice) => [choice, () => (trial ? trial.choose(choice) : false)])),
}, { enabled: () => preferences.get('shortcuts') });
$('trial-play')?.addEventListener('click', () => trial?.play());
const choices = () => [...document.querySelectorAll('[data-choice]')];
for (const button of choices()) button.addEventListener('click', () => trial?.choose(Number(button.dataset.choice)));

/** 'continue', or 'ended' where the study requires headphones and the last attempt has failed or there are none.

    `show(step)` puts a step on the page; `press(step)` resolves to the name of the button pressed in it. */
export async function headphoneCheck(settings, { show, press }) {
  const address = `/api/studies/${settings.slug}/headphones/`;
  const required = settings.headphones === 'required';
  $('headphones-required').hidden = !required;
  show('headphones');
  let pressed = await press('headphones');
  while (pressed !== 'continue') {
    if (pressed === 'absent' && required) return 'ended';
    const { status, body } = await persistently(() => call('POST', address, {}));
    if (status !== 201) return 'continue'; // done in another tab, or no longer ours: the next battle's answer tells
    const report = pressed === 'absent' ? { unplayable: true } : await listen(body.trials, show);
    const judged = await persistently(() => call('POST', `${address}${body.attempt}/`, report));
    if (judged.status !== 200 || pressed === 'absent') return 'continue';
    const failed = judged.body.result === 'fail';
    const again = failed && judged.body.attempts_left > 0;
    if (failed && !again && required) return 'ended';
    tell(judged.body, { again, mayGoOn: !failed || !required });
    show('verdict');
    pressed = await press('verdict');
  }
  return 'continue';
}

/** The server's answer, however long it takes. */
async function persistently(work) {
  const say = (sentence) => {
    for (const line of document.querySelectorAll('.before [role="status"]')) line.textContent = sentence;
  };
  let waited = false;
  const answer = await persist(work, (...why) => {
    waited = true;
    say(noAnswer(...why));
  });
  if (waited) say('');
  return answer;
}

/** What to report of one attempt: {answers}, or {unplayable: true}. */
async function listen(trials, show) {
  try {
    $('headphones-say').textContent = gettext('Loading six short sounds…');
    const buffers = await Promise.all(trials.map(({ url }) => fetched(url)));
    show('trial');
    const answers = [];
    for (const buffer of buffers) {
      trial = new Trial(buffer, answers.length + 1, buffers.length);
      answers.push(await trial.answer);
    }
    return { answers };
  } catch (error) {
    if (!(error instanceof Silence)) throw error;
    return { unplayable: true };
  } finally {
    trial = null;
    $('headphones-say').textContent = '';
  }
}

async function fetched(url) {
  try {
    return await audioContext().decodeAudioData(await persistently(() => bytes(url)));
  } catch (error) {
    throw new Silence('a trial could not be fetched or decoded', { cause: error });
  }
}

class Trial {
  constructor(buffer, number, of) {
    Object.assign(this, { buffer, plays: 0, heard: false, sound: null });
    this.answer = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    $('trial-number').textContent = interpolate(gettext('Sound %(number)s of %(of)s'), { number, of });
    $('trial-done').value = number - 1;
    $('trial-done').max = of;
    this.#say(gettext('Press Play, then choose the noise with the faint tone.'));
    this.#draw();
    $('trial-play').focus({ preventScroll: true });
  }

  async play() {
    if (this.sound || this.plays === PLAYS) return;
    this.plays += 1;
    this.sound = play(this.buffer);
    this.#say(gettext('Listen…'));
    this.#draw();
    this.#light();
    try {
      await this.sound.ended;
    } catch (error) {
      this.reject(error);
      return;
    }
    if (trial !== this) return; // answered during the replay: the page shows the next one
    this.heard = true;
    this.sound = null;
    this.#draw();
    this.#say(gettext('Which of the three contained the faint tone? If in doubt, guess.'));
  }

  choose(choice) {
    if (!this.heard) {
      this.#say(gettext('Not yet: listen to all three noises first.'));
      return;
    }
    this.sound?.stop();
    trial = null;
    this.resolve(choice);
  }

  #say(sentence) {
    $('trial-say').textContent = sentence;
  }

  #draw() {
    const button = $('trial-play');
    const over = this.plays === PLAYS;
    button.setAttribute('aria-disabled', String(over || this.sound !== null));
    if (this.sound) button.textContent = gettext('Playing…');
    else if (over) button.textContent = gettext('Played twice');
    else button.textContent = this.plays ? gettext('Play once more') : gettext('Play');
    for (const choice of choices()) choice.setAttribute('aria-disabled', String(!this.heard));
  }

  /** Mark the number whose noise sounds now; once per frame while there is sound. */
  #light() {
    const passed = this.sound && trial === this ? audioContext().currentTime - this.sound.startsAt : -1;
    const sounding = passed >= 0 && passed % PERIOD_S < NOISE_S ? Math.floor(passed / PERIOD_S) + 1 : 0;
    for (const button of choices()) button.classList.toggle('sounding', Number(button.dataset.choice) === sounding);
    if (this.sound && trial === this) requestAnimationFrame(() => this.#light());
  }
}

function tell({ result, correct, of }, { again, mayGoOn }) {
  const [title, text] = words(result, again);
  $('verdict-title').textContent = title;
  $('verdict-text').textContent = text;
  $('verdict-score').textContent = result === 'unknown'
    ? '' : interpolate(gettext('You found the tone in %(correct)s of %(of)s.'), { correct, of });
  $('verdict-help').hidden = $('verdict-again').hidden = !again;
  $('verdict-go').hidden = !mayGoOn;
  $('verdict-go').classList.toggle('primary', !again);
  $('verdict-go').textContent = again ? gettext('Continue anyway') : gettext('Continue');
}

function words(result, again) {
  if (result === 'pass') return [gettext('Your headphones work'), gettext('Keep them on until the end.')];
  if (result === 'unknown') {
    return [
      gettext('The check could not be played here'),
      gettext('That is not your fault, and you can continue. Keep your headphones on all the same.'),
    ];
  }
  if (again) return [gettext('Not quite yet'), gettext('The tone is very faint. You have one more try.')];
  return [
    gettext('The tone stayed hidden'),
    gettext('That happens, and you can continue. With the best headphones you have, small differences are easier to hear.'),
  ];
}
