// One request, and all that its answer tells: its status, how many texts the cache knew, its time by phase.
import http from 'k6/http';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const url = `${__ENV.URL || 'http://localhost:8080'}/v1/models/sentiment:predict`;

// k6 knows metrics only if they are named before it starts
const STATUSES = [0, 200, 400, 403, 404, 405, 408, 413, 422, 429, 431, 500, 502, 503, 504];
const PHASES = ['receive', 'parse', 'cache', 'model', 'render', 'elsewhere'];
const named = (names, metric) => Object.fromEntries(names.map((name) => [name, metric(name)]));
const statuses = named([...STATUSES, 'other'], (status) => new Counter(`status_${status}`));
const texts = new Counter('texts');
const textsCached = new Counter('texts_cached');
// milliseconds of the requests that were answered: all, those whose texts were all cached, those that computed some
const latency = new Trend('latency', true);
const kinds = named(['cached', 'computed'], (kind) => ({
  requests: new Counter(`requests_${kind}`),
  latency: new Trend(`latency_${kind}`, true),
  phases: named(PHASES, (phase) => new Trend(`${kind}_${phase}`, true)),
}));

export function ask(asked) {
  // without a Content-Type, as the older services' clients send it
  const response = http.post(url, JSON.stringify({ text: asked }));
  (statuses[response.status] || statuses.other).add(1);
  if (response.status !== 200) return;
  check(response, { 'has a prediction for each text': (r) => r.json('predictions.#') === asked.length });
  const milliseconds = response.timings.duration;
  latency.add(milliseconds);
  const hits = response.headers['X-Cache-Hits'];
  if (!hits) return; // not a transformer of ours
  const [cached, all] = hits.split('/').map(Number);
  textsCached.add(cached);
  texts.add(all);
  const kind = cached === all ? kinds.cached : kinds.computed;
  kind.requests.add(1);
  kind.latency.add(milliseconds);
  addPhases(kind.phases, response.headers['Server-Timing'] || '', milliseconds);
}

function addPhases(phases, serverTiming, milliseconds) {
  let rest = milliseconds;
  for (const entry of serverTiming.split(', ')) {
    const [phase, duration] = entry.split(';dur=');
    if (phase in phases) {
      phases[phase].add(Number(duration));
      rest -= Number(duration);
    }
  }
  phases.elsewhere.add(Math.max(0, rest));
}
