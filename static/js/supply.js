/** Where battles come from: asked of the server, their clips decoded, the next one fetched while this one is heard. */
import { call, persist } from './api.js';
import { load } from './excerpts.js';

const served = ({ status }) => status === 200 || status === 201;

export class Supply {
  /** `onWait(seconds, TryLater)` before each pause without an answer, while somebody waits for one. */
  constructor(study, onWait) {
    Object.assign(this, { study, onWait });
    this.ahead = null; // promise of {battle, buffers} of the one after that on the page, or of null
    this.ready = false; // whether `ahead` can be played at once
    this.wanted = false; // whether somebody waits for `ahead`
  }

  #ask(more = {}) {
    return call('POST', '/api/battles/', { study: this.study, ...more });
  }

  /** The next battle: {battle, buffers}, or {refused: {status, body}}. `announced(battle)` when only its clips are
      missing. Throws CannotPlay with the `battle`. */
  async next(announced) {
    const prepared = this.ahead;
    this.forget();
    this.wanted = true;
    try {
      const loaded = await prepared;
      if (loaded) return loaded;
      const reply = await persist(() => this.#ask(), this.onWait);
      return served(reply) ? await this.#load(reply.body, announced) : { refused: reply };
    } finally {
      this.wanted = false;
    }
  }

  /** Another battle for the prompt of an answered one: the one fetched ahead, if it is such, else that stays the next. */
  async like(battle, announced) {
    const ahead = this.ready ? (await this.ahead).battle.prompt : null;
    if (ahead && ahead.text === battle.prompt.text && ahead.lyrics === battle.prompt.lyrics) return this.next(announced);
    const reply = await this.#ask({ like: battle.id });
    return served(reply) ? this.#load(reply.body, announced) : { refused: reply };
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
    this.ahead ??= this.#ask({ after: battle.id })
      .then((reply) => (served(reply) ? load(reply.body, (...why) => this.wanted && this.onWait(...why)) : null))
      .then((loaded) => {
        this.ready = loaded !== null;
        return loaded && { ...loaded, prefetched: true };
      })
      .catch(() => null); // it will be asked for again, and then the reason is told
  }

  /** The server knows better than this page which battle is next. */
  forget() {
    this.ahead = null;
    this.ready = false;
  }
}
