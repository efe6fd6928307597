// Clients come at a constant rate, whether or not those before are answered, and each asks for one text of a large
// vocabulary: popular ones often, most hardly ever (Zipf's law). What the cache makes of real texts, from empty on.
import { arrivals, duration, objectives, rate } from './lib/load.js';
import { ask } from './lib/service.js';
import { zipf } from './lib/vocabulary.js';

export const options = {
  scenarios: {
    zipf: { ...arrivals, executor: 'constant-arrival-rate', rate: rate(50), duration: duration('1m') },
  },
  thresholds: objectives,
};

export default function () {
  ask([zipf()]);
}
