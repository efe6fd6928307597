// Nobody for 5 seconds, then all at once clients at a high rate; nine of ten ask for one of the popular texts, of which
// none is cached at first, one for a new one. Shows how the service wakes up, and how soon it is itself again.
import { arrivals, duration, objectives, rate } from './lib/load.js';
import { ask } from './lib/service.js';
import { mixed } from './lib/vocabulary.js';

const height = rate(200);

export const options = {
  scenarios: {
    spike: {
      ...arrivals,
      executor: 'ramping-arrival-rate',
      startRate: 0,
      stages: [
        { target: 0, duration: '5s' },
        { target: height, duration: '0s' },
        { target: height, duration: duration('30s') },
      ],
    },
  },
  thresholds: { ...objectives, http_req_failed: ['rate<0.01'], latency: ['p(99)<500'] },
};

export default function () {
  ask([mixed()]);
}
