// Clients come at a rate that rises by a quarter at every step, until a step breaks a threshold; nine of ten ask for one
// of the popular texts, one for a new one. The knee is the last step that held: what the service can do.
import exec from 'k6/execution';
import { arrivals, duration, rate, seconds } from './lib/load.js';
import { ask } from './lib/service.js';
import { mixed } from './lib/vocabulary.js';

const STEPS = 24;
const step = seconds(duration('10s'));
const rates = Array.from({ length: STEPS }, (_, i) => Math.round(rate(40) * 1.25 ** i));

// judged once the step is over
const held = (threshold, i) => [{ threshold, abortOnFail: true, delayAbortEval: `${(i + 1) * step}s` }];

export const options = {
  scenarios: {
    stress: {
      ...arrivals,
      executor: 'ramping-arrival-rate',
      startRate: rates[0],
      stages: rates.flatMap((target) => [{ target, duration: '0s' }, { target, duration: `${step}s` }]),
    },
  },
  thresholds: Object.fromEntries([
    ['checks', ['rate==1']],
    ...rates.map((each, i) => [`latency{step:${each}}`, held('p(99)<250', i)]),
    ...rates.map((each, i) => [`http_req_failed{step:${each}}`, held('rate<0.01', i)]),
  ]),
};

export default function () {
  const now = Math.floor((Date.now() - exec.scenario.startTime) / 1000 / step);
  exec.vu.metrics.tags.step = rates[Math.min(now, STEPS - 1)];
  ask([mixed()]);
}
