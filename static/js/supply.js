/** Where battles come from: requested from the server, clips decoded, the next one fetched while this one is heard. */
import { call, overLimit, persist, TryLater } from './api.js';
import { load } from './excerpts.js';
import { proven } from './proof.js';

const served = ({ status }) => status === 200 || status === 201;

export class Supply {
  /** `onWait(seconds, TryLater)` before each pause without an answer, while somebody waits for one. */
  constructor(study, onWait) {
    Object.assign(this, { study, onWait });
    this.ahead = null; // promise of the battle after the one on the page, {battle, buffers}, or of null
    this.ready = false; // whether `ahead` can be played at once
    this.wanted = false; // whether somebody waits for `ahead`
  }

  async #ask(more = {}) {
    try {
      return await proven((proof) => call('POST', '/api/battles/', { study: this.study, ...more, ...proof }));
    } catch (error) {
      const refused = error instanceof TryLater && overLimit(error);
      if (refused) return refused;
      throw error;
    }
  }

  /** The next battle: {battle, buffers}, or {refused: {status, body}}. `announced(battle)` when only its clips are
      missing. Throws CannotPlay with the `battle`. */
  async next(announced) {
    const prepared = this.ahead;
    this.forget();
    this.wanted = true;
    try {
      const loaded = await prepared;
      if (loaded?.buffers.A) return loaded;
      if (loaded) return { ...(await this.#load(loaded.battle, announced)), prefetched: true }; // its clips were released
      const reply = await persist(() => this.#ask(), this.onWait);
      return served(reply) ? await this.#load(reply.body, announced) : { refused: reply };
    } finally {
      this.wanted = false;
    }
  }

  /** Another battle for the prompt of an answered one: the prefetched one if it matches, otherwise that stays the next. */
  async like(battle, announced) {
    const ahead = this.ready ? (await this.ahead)?.battle.prompt : null;
    if (ahead && ahead.text === battle.prompt.text && ahead.lyrics === battle.prompt.lyrics) return this.next(announced);
    const reply = await this.#ask({ like: battle.id });
    if (!served(reply)) return { refused: reply };
    this.ready = false; // its clips make room for these
    return this.#load(reply.body, announced);
  }

  async #load(battle, announced) {
    announced(battle);
    try {
      return await load(battle, this.onWait);
    } catch (error) {
      throw Object.assign(error, { battle });
    }
  }

  /** Fetch and decode the battle that follows, so that it can start at once. */
  prefetch(battle) {
    const following = this.ahead?.then((loaded) => loaded?.battle) ?? this.#after(battle);
    const ahead = following
      .then((coming) => coming && load(coming, (...why) => this.wanted && this.onWait(...why)))
      .then((loaded) => {
        if (this.ahead === ahead) this.ready = Boolean(loaded);
        return loaded && { ...loaded, prefetched: true };
      })
      .catch(() => { // it will be requested again, and then the reason is shown
        if (this.ahead === ahead) this.forget();
        return null;
      });
    this.ahead = ahead;
  }

  async #after(battle) {
    const reply = await this.#ask({ after: battle.id });
    return served(reply) ? reply.body : null;
  }

  /** Drop the prefetched battle: the server decides which one is next. */
  forget() {
    this.ahead = null;
    this.ready = false;
  }
}
