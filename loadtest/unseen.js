// 10 users who ask again as soon as they are answered, for 4 texts a request that nobody asked for before: the cache
// never helps, and what is seen is how fast the model computes.
import { duration, objectives } from './lib/load.js';
import { ask } from './lib/service.js';
import { unseen } from './lib/vocabulary.js';

export const options = {
  vus: 10,
  duration: duration('1m'),
  thresholds: { ...objectives, http_req_failed: ['rate<0.01'], latency: ['p(99)<1000'] },
};

export default function () {
  ask([unseen(), unseen(), unseen(), unseen()]);
}
