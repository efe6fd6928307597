// 10 users who ask again as soon as they are answered. 95 % of their requests send the same 3 texts, 5 % send the same
// 10 texts in random order: the load of the older services' own script.
import { repeats } from './lib/classic.js';
import { duration, objectives } from './lib/load.js';
import { ask } from './lib/service.js';

export const options = {
  vus: 10,
  duration: duration('1m'),
  thresholds: { ...objectives, http_req_failed: ['rate==0'] },
};

export default function () {
  ask(repeats());
}
