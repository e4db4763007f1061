// @ts-check

/** How many of the latest events are remembered. A lane further behind than that is not compared with. */
const HELD = 8192;

/**
 * @typedef {{epoch: number, offset: number, lanes: number}} Entry which lanes (a bit each) have had an event
 * @typedef {{epoch: number, offset: number}} Place
 * @typedef {{last: Place, missed: number, duplicated: number}} Account
 */

/**
 * Holds the lanes against each other: an event that another lane showed and this one passed over is missed, one
 * that came a second time is duplicated. It only counts; what it counts was shown.
 */
export class Tally {
  /** In the order of the log. @type {Entry[]} */
  #log = [];
  /** The logs met so far, in that order: a gateway that lost its log begins another. @type {string[]} */
  #epochs = [];
  /** Below it everything is forgotten. @type {Place} */
  #floor = { epoch: 0, offset: 0 };
  /** @type {Account[]} */
  #lanes;

  /** @param {number} lanes */
  constructor(lanes) {
    this.#lanes = Array.from({ length: lanes }, () => ({
      last: { epoch: 0, offset: 0 },
      missed: 0,
      duplicated: 0,
    }));
  }

  /** What a lane has missed and had twice. */
  of(/** @type {number} */ lane) {
    const { missed, duplicated } = this.#lane(lane);
    return { missed, duplicated };
  }

  /**
   * A lane was given an event.
   * @param {number} lane
   * @param {string} id
   */
  delivered(lane, id) {
    const place = this.#place(id);
    const own = this.#lane(lane);
    const bit = 1 << lane;
    if (order(place, this.#floor) <= 0) {
      if (order(place, own.last) <= 0) own.duplicated += 1;
      else own.last = place;
      return;
    }
    const at = this.#find(place);
    let entry = this.#log[at];
    if (!entry || order(entry, place) !== 0) {
      entry = { ...place, lanes: 0 };
      this.#log.splice(at, 0, entry);
      for (const other of this.#lanes) if (other !== own && order(place, other.last) < 0) other.missed += 1;
    }
    if (entry.lanes & bit) own.duplicated += 1;
    entry.lanes |= bit;
    if (order(place, own.last) > 0) {
      for (let passed = this.#find(own.last); passed < at; passed += 1) {
        const before = /** @type {Entry} */ (this.#log[passed]);
        if (!(before.lanes & bit) && order(before, own.last) > 0) own.missed += 1;
      }
      own.last = place;
    }
    if (this.#log.length > 2 * HELD) this.#forget();
  }

  #lane(/** @type {number} */ lane) {
    return /** @type {Account} */ (this.#lanes[lane]);
  }

  /** @returns {Place} */
  #place(/** @type {string} */ id) {
    const dash = id.lastIndexOf('-');
    const name = id.slice(0, dash);
    let epoch = this.#epochs.lastIndexOf(name);
    if (epoch < 0) epoch = this.#epochs.push(name) - 1;
    return { epoch, offset: Number(id.slice(dash + 1)) };
  }

  /** Where an event stands in the log, or would. Nearly always that is the end. */
  #find(/** @type {Place} */ place) {
    let low = 0;
    let high = this.#log.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (order(/** @type {Entry} */ (this.#log[middle]), place) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #forget() {
    const { epoch, offset } = /** @type {Entry} */ (this.#log[this.#log.length - HELD - 1]);
    this.#floor = { epoch, offset };
    this.#log.splice(0, this.#log.length - HELD);
  }
}

function order(/** @type {Place} */ a, /** @type {Place} */ b) {
  return a.epoch - b.epoch || a.offset - b.offset;
}
