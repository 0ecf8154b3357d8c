/**
 * The rooms by floor, lowest first. A room imports only rooms of lower floors: never up, never sideways.
 * `libs/README.md` says what each is for; `house.spec.ts` keeps the two lists equal.
 *
 * @type {string[][]}
 */
module.exports = [
  ['problem', 'context', 'metrics'],
  ['log', 'postgres', 'seating'],
  ['config'],
  ['discovery', 'breaker', 'storage'],
  ['client', 'bus', 'mail'],
  ['outbox', 'auth'],
  ['health'],
  ['service'],
  ['resource'],
  ['staff'],
];
