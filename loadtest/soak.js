// Clients come at a constant, moderate rate for long; nine of ten ask for one of the popular texts, one for a new one.
// Shows what only time shows: memory that grows, latency that creeps up.
import { arrivals, duration, objectives, rate } from './lib/load.js';
import { ask } from './lib/service.js';
import { mixed } from './lib/vocabulary.js';

export const options = {
  scenarios: {
    soak: { ...arrivals, executor: 'constant-arrival-rate', rate: rate(50), duration: duration('30m') },
  },
  thresholds: objectives,
};

export default function () {
  ask([mixed()]);
}
