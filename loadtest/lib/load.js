// What the scenarios have in common.

// The service's objectives (monitoring/slo.py), and no wrong answer.
export const objectives = {
  checks: ['rate==1'],
  http_req_failed: ['rate<0.001'],
  latency: ['p(99)<250'],
};

// Clients who come when they come, whether or not those before have their answer: an open model.
export const arrivals = { timeUnit: '1s', preAllocatedVUs: 100, maxVUs: 500 };

export const duration = (usual) => __ENV.DURATION || usual;
export const rate = (usual) => Number(__ENV.RATE || usual);

// k6's "1m30s" in seconds
export function seconds(span) {
  const units = { h: 3600, m: 60, s: 1 };
  return [...span.matchAll(/([\d.]+)([hms])/g)].reduce((sum, [, count, unit]) => sum + count * units[unit], 0);
}
